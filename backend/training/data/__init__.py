"""Data that models learn from: packs of maps on disk, crops of them on a device, class maps made on the fly."""
