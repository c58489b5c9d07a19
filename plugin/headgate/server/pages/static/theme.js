// Within a frame of the same site, the pages take its light or dark look; alone, they take the browser's.
"use strict";

function followTheme(host) {
  const look = () => {
    const dark = host.classList.contains("dark") || host.style.colorScheme === "dark";
    const light = host.classList.contains("light") || host.style.colorScheme === "light";
    if (dark || light) document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  look();
  new MutationObserver(look).observe(host, { attributes: true, attributeFilter: ["class", "style"] });
}

try {
  if (window.parent !== window) followTheme(window.parent.document.documentElement);
} catch (error) {
  if (!(error instanceof DOMException)) throw error; // a frame of another site keeps its look to itself
}
