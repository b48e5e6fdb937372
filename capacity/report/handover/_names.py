"""Names that other systems accept, made from any name that data may hold, and never the same for two of them."""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

from capacity.errors import UsageError

# Kubernetes: a label's value, and so the name of a NodePool that becomes one, has at most 63 characters.
DNS_LABEL = 63
# EC2 Auto Scaling: the model of botocore gives 255 to the names of groups and scheduled actions.
AWS_NAME = 255
# A name that already ends like a marked one is marked too: no two names become one.
_MARKED = re.compile(r"-[0-9a-f]{6}$")
_PLACES = frozenset({"service", "region", "instance_type", "purchase", "account_id"})


def _marked(name: str, whole: str, most: int) -> str:
    """``name`` with six hexadecimal digits that stand for ``whole``, at most ``most`` characters long."""
    mark = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{name[: most - 1 - len(mark)].rstrip('-')}-{mark}"


def dns_label(text: str) -> str:
    """``text`` as a DNS label of RFC 1123: itself where it is one, else what is left of it with a mark of the whole.

    >>> dns_label("checkout"), dns_label("Check out!"), dns_label("-3")
    ('checkout', 'check-out-446fa7', 'x-3-615bdd')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if slug == text and len(slug) <= DNS_LABEL and slug[:1].isalpha() and not _MARKED.search(slug):
        return slug
    if not slug[:1].isalpha():
        slug = f"x-{slug}" if slug else "x"
    return _marked(slug, text, DNS_LABEL)


def dns_names(parts: Sequence[tuple[str, ...]]) -> list[str]:
    """Each tuple of labels as one DNS label, joined by hyphens; those that would be long or alike get a mark of theirs.

    >>> dns_names([("auth", "us-east-1"), ("cart", "us-east-1")])
    ['auth-us-east-1', 'cart-us-east-1']
    """
    joined = ["-".join(p) for p in parts]
    often = Counter(joined)
    return [
        name if often[name] == 1 and len(name) <= DNS_LABEL else _marked(name, "\x00".join(p), DNS_LABEL)
        for name, p in zip(joined, parts, strict=True)
    ]


def group_name(template: str, values: Mapping[str, str]) -> str:
    """The name of an Auto Scaling group: ``template`` with ``values``, as EC2 Auto Scaling takes it.

    Control characters and colons become hyphens; a name that was changed or is too long gets a mark of the whole. A
    group of spot instances ends in -spot where the template does not say {purchase}.
    """
    raw = template.format_map({k: str(v) for k, v in values.items()})
    if values["purchase"] == "spot" and "{purchase}" not in template:
        raw += "-spot"
    return aws_name(raw)


def aws_name(raw: str) -> str:
    """``raw`` as a name of EC2 Auto Scaling: 1 to 255 characters, none of control, no colon."""
    clean = "".join("-" if c == ":" or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else c
                    for c in raw).strip()  # fmt: skip
    if clean == raw and 0 < len(clean) <= AWS_NAME:
        return clean
    return _marked(clean or "group", raw, AWS_NAME)


def check_template(template: str) -> None:
    """Refuse a template of group names that cannot be filled.

    Raises
    ------
    UsageError
        A place that does not exist, or none at all.
    """
    allowed = "text with {service}, {region}, {instance_type}, {purchase} or {account_id}"
    try:
        places = [
            (name, form, turned) for _, name, form, turned in string.Formatter().parse(template) if name is not None
        ]
    except ValueError as error:
        raise UsageError(f"--group-name: found {template!r} ({error}); allowed: {allowed}") from None
    wrong = [name for name, form, turned in places if name not in _PLACES or form or turned]
    if wrong or not places:
        said = f"the place {wrong[0]!r}" if wrong else "no place"
        raise UsageError(f"--group-name: found {template!r} with {said}; allowed: {allowed}")
