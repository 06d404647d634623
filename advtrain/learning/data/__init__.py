"""From a dataset's name to splits of images on the device."""
