"""Sources that ask AWS, over many accounts and regions at once.

Permissions are those of the calls, by name; nothing is ever written in AWS. Credentials come from the AWS credential
chain only and appear in no message.
"""

from capacity.sources.aws._access import Access, Account, Place
from capacity.sources.aws._calls import Failures, errors_of, pages

__all__ = ["Access", "Account", "Failures", "Place", "errors_of", "pages"]
