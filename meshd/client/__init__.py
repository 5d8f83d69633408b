"""Programs on the mesh: `Mesh` in plain blocking calls, `AsyncMesh` the same for trio.

    from meshd.client import Job, Mesh

    mesh = Mesh()                        # the daemon of MESHD_HOME, as the command line finds it
    mesh.send("bob", b"hello")           # returns when bob's daemon has it on its disk
    for letter in mesh.receive():        # waits; each is forgotten once the next is asked for
        print(letter.name, letter.body)

    job = mesh.submit(Job(kind="wasm", model="count.wasm", input="text.txt", shards=8))
    if mesh.wait(job)["status"] == "completed":
        counts = mesh.result(job)        # bytes, a piece of text each

Refusals are `protocols.errors.MeshError`, with a code and what to do.
"""

from meshd.client.aio import AsyncMesh
from meshd.client.mesh import Letter, Mesh
from meshd.jobs.specification import Job, Placement, Region, Stage

__all__ = ["AsyncMesh", "Job", "Letter", "Mesh", "Placement", "Region", "Stage"]
