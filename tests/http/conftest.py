"""What several files of this suite begin with."""
import pytest

from udmtest.operations import World


@pytest.fixture(scope="module")
def world(env):
    """Contact centres and what they have, of which the module may do anything."""
    result = World(env)
    yield result
    result.close()
