"""Recognising what images show with what a GAN has learnt from them without labels."""
