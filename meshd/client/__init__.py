"""Programs on the mesh: `Mesh` in plain blocking calls, `AsyncMesh` the same for trio.

    from meshd.client import Mesh

    mesh = Mesh()                        # the daemon of MESHD_HOME, as the command line finds it
    mesh.send("bob", b"hello")           # returns when bob's daemon has it on its disk
    for letter in mesh.receive():        # waits; each is forgotten once the next is asked for
        print(letter.name, letter.body)

Refusals are `protocols.errors.MeshError`, with a code and what to do.
"""

from meshd.client.aio import AsyncMesh
from meshd.client.mesh import Letter, Mesh

__all__ = ["AsyncMesh", "Letter", "Mesh"]
