"""What single files and folders hold: tables, arrays, images; how their values become [0, 1]."""
