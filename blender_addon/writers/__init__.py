"""Arrays -> Blender: meshes, images, materials, light. Nothing in here touches what the user made, and nothing
pushes undo steps.
"""
