"""Colors that several packages share: palettes of old machines, and weights of red, green and blue.

No NumPy, because commands start with it. Sources of the palettes:
    gameboy         the four greens that emulators and artists use for the screen of the Game Boy (1989)
    gameboy_pocket  its gray successor of 1996: Wikipedia, List of video game console palettes
    pico8           the PICO-8 manual, of Lexaloffle
    cga             the 16 colors of RGBI on IBM's color display 5153, which shows dark yellow as brown
    cga0, cga1      the bright palettes of four colors of CGA's graphics mode 4: IBM, Color/Graphics Monitor Adapter
    ega             all 64 colors of EGA, two bits a channel: IBM, Enhanced Graphics Adapter
    c64             Philip Timmermann (Pepto), Calculating the color palette of the VIC II, 2001
    nes             the PPU 2C02 of the Famicom and NES: NESdev Wiki, PPU palettes, 2C02G
    zx_spectrum     the 15 colors of the ULA: 0 and 215 of 255, and 255 for bright ones
    black_white     two colors, as on the first Macintosh
"""

from __future__ import annotations

from itertools import product

CGA = "000000 0000aa 00aa00 00aaaa aa0000 aa00aa aa5500 aaaaaa 555555 5555ff 55ff55 55ffff ff5555 ff55ff ffff55 ffffff"
COLORS = {
    "gameboy": "0f380f 306230 8bac0f 9bbc0f",
    "gameboy_pocket": "1f1f1f 4d533c 8b956d c4cfa1",
    "pico8": "000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8 ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8"
    " ffccaa",
    "cga": CGA,
    "cga0": "000000 55ff55 ff5555 ffff55",
    "cga1": "000000 55ffff ff55ff ffffff",
    "ega": " ".join("".join(levels) for levels in product(("00", "55", "aa", "ff"), repeat=3)),
    "c64": "000000 ffffff 68372b 70a4b2 6f3d86 588d43 352879 b8c76f 6f4f25 433900 9a6759 444444 6c6c6c 9ad284 6c5eb5"
    " 959595",
    "nes": "626262 001fb2 2404c8 5200b2 730076 800024 730b00 522800 244400 005700 005c00 005324 003c76 000000"
    " ababab 0d57ff 4b30ff 8a13ff bc08d6 d21269 c72e00 9d5400 607b00 209800 00a300 009942 007db4"
    " ffffff 53aeff 9085ff d365ff ff57ff ff5dcf ff7757 fa9e00 bdc700 7ae700 43f611 26ef7e 2cd5f6 4e4e4e"
    " b6e1ff ced1ff e9c3ff ffbcff ffbdf4 ffc6c3 ffd59a e9e681 cef481 b6fb9a a9fac3 a9f0f4 b8b8b8",
    "zx_spectrum": "000000 0000d7 d70000 d700d7 00d700 00d7d7 d7d700 d7d7d7 0000ff ff0000 ff00ff 00ff00 00ffff ffff00"
    " ffffff",
    "black_white": "000000 ffffff",
}
MONOCHROME = ("gameboy", "gameboy_pocket", "black_white")  # palettes of tones
BAYER = {"bayer": 4, "bayer2": 2, "bayer4": 4, "bayer8": 8}  # sides of matrices
DITHERS = ("none", "floyd_steinberg", "atkinson", *BAYER, "blue_noise")  # see gan.pixel_art.dithering

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
YCC = (LUMA, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # luma, blue and red difference (JFIF)


def inks(words: str) -> list[tuple[int, ...]]:
    """Return the colors of hexadecimal words: "ff0000 00ff00" is red and green."""
    return [tuple(bytes.fromhex(word)) for word in words.split()]
