"""The identifiers of licenses that the Hugging Face Hub knows. No torch."""

from __future__ import annotations

from gan.common.errors import UserError, did_you_mean

OTHER = "other"
NAMES = """
afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
eupl-1.1 eupl-1.2 gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2
lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 other pddl postgresql unknown
unlicense wtfpl zlib
"""
LICENSES = frozenset(NAMES.split())


def checked(name: str) -> str:
    """Return the identifier of a license in lower case; raise UserError if the Hub does not know it."""
    if name.lower() in LICENSES:
        return name.lower()
    hint = did_you_mean(name, sorted(LICENSES), "some are mit, cc0-1.0, cc-by-4.0 and cc-by-nc-4.0.")
    raise UserError(
        f"--license {name}: is not a license of the Hugging Face Hub; {hint} For another license, use --license other"
    )
