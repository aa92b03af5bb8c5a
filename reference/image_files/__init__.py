"""Image files of every kind that the web has, whole and damaged, on both sides of each rule of docs/fetching.md.

`corpus(seed)` draws them. A file is (name, bytes, expectation): "same" is read as Pillow reads it; "whole" is read, with the pixels of the
file whose name stands behind it; "refused" must not be read; None is whatever Pillow says."""
from .base import Corpus
from .bmp import bmps
from .containers import avifs, heics, webps
from .gif import gifs
from .jpeg import jpegs
from .png import pngs
from .tiff import tiffs


def corpus(seed):
    c = Corpus(seed)
    for part in (jpegs, pngs, gifs, bmps, webps, avifs, heics, tiffs):
        part(c)
    return c.files
