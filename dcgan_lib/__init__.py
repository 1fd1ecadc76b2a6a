"""DCGAN, reproduced: a small library behind the notebooks of the book."""
