"""Names for runs that nobody named, in MLflow's form: adjective, animal, number."""

from __future__ import annotations

import random

_ADJECTIVES = """
    able amber ample brave bright brisk calm candid clean clever cosmic crisp curious deft eager early fair fleet
    fresh gentle glad golden grand handy hardy humble jolly keen kind light lively loyal lucid lucky mellow merry
    mighty modest neat nimble noble patient placid polite prime proud quick quiet rapid rare ready robust rustic
    serene sharp silent smart smooth sober solid spry stable steady still stout sunny sure swift tidy trusty upbeat
    vivid warm wary wise witty worthy young zesty
"""
_ANIMALS = """
    ant asp auk bat bear bee boar bream carp cat clam cod colt crab crane crow cub deer doe dolphin dove duck eagle
    eel elk ewe falcon fawn finch fish flea fly foal fowl fox frog gnat gnu goat goose grouse grub gull hare hawk
    hen heron hog horse hound ibis jay kite koi lamb lark lion loon lynx mare mink mole moose moth mouse mule newt
    otter owl panda perch pike pony quail ram rat raven ray robin rook seal shad shark sheep shrew shrike skunk
    sloth slug smelt snail snipe sow squid stag stork swan toad trout turtle vole wasp whale wolf wren yak zebra
"""


def random_run_name() -> str:
    """Return a name such as ``swift-otter-417``: for people to tell runs apart by, not an identifier."""
    # Not the seeded generator of a training script, which would name every run alike.
    chance = random.SystemRandom()
    return f"{chance.choice(_ADJECTIVES.split())}-{chance.choice(_ANIMALS.split())}-{chance.randrange(1000)}"
