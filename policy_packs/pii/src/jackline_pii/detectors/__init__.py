"""The detectors of this pack, by the kind of data that they are about."""
