"""The viewer of images: a canvas in the browser, and the slices that it asks the server for."""
