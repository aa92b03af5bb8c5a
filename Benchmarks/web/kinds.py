"""What becomes of the URLs of a list from the web, and how often: the kinds of hosts and URLs that the local web has.

A share counts URLs of 10,000. README.md says where the shares come from.
"""
import collections

# `outcome`: what whoever asks well gets.
#   image    an image, at once
#   later    an image, though not at the first request: what fails passes by itself
#   format   an image in a format that a reader may not know
#   optout   an image whose owner asks that machines leave it alone
#   wide     an image whose owner asks more than machines that annotate to leave it alone
#   refused  a file that no reader should take
#   never    nothing
# `codes`: the codes of Gloss that are right where there is no image; "waiting": it is tried until the setting
#   give_up_after; "enqueue": the queue refuses it.
Kind = collections.namedtuple("Kind", "name share outcome codes")

# A URL is of such a kind, whatever its host.
URLS = [Kind(*row) for row in [
    ("large", 50, "image", ""),              # 1024 x 1024
    ("tiny", 50, "image", ""),               # 1 x 1
    ("twice", 200, "image", ""),             # a URL that the list has twice
    ("upper", 50, "image", ""),              # the host's name in mixed case
    ("dot", 5, "image", ""),                 # a dot behind the host's name
    ("space", 30, "image", ""),              # a space and an umlaut in the path
    ("chunked", 300, "image", ""),
    ("unmeasured", 40, "image", ""),         # no length: the end of the connection is the end of the file
    ("encoding", 10, "image", ""),           # Content-Encoding: utf-8
    ("no_end", 5, "image", ""),              # a JPEG without end marker, all rows there
    ("stray", 5, "image", ""),               # a JPEG with stray bytes before its end marker
    ("late", 40, "image", ""),               # a second before the first byte
    ("dribble", 20, "image", ""),            # over two seconds
    ("moved", 150, "image", ""),             # redirects to the same host
    ("elsewhere", 50, "image", ""),          # redirects to another host
    ("thrice", 10, "image", ""),             # three redirects
    ("gif", 150, "format", "unsupported_format"),
    ("bmp", 10, "format", "unsupported_format"),
    ("avif", 15, "format", "unsupported_format"),
    ("tiff", 5, "format", "unsupported_format"),
    ("first_500", 12, "later", ""),
    ("first_502", 6, "later", ""),
    ("first_503", 12, "later", ""),
    ("first_503_after", 6, "later", ""),     # with Retry-After
    ("first_503_huge", 2, "later", ""),      # announces more than 32 MiB
    ("first_429", 20, "later", ""),          # with Retry-After
    ("first_403_after", 4, "later", ""),     # with Retry-After
    ("first_408", 2, "later", ""),
    ("first_closed", 10, "later", ""),       # no answer at all
    ("first_reset", 5, "later", ""),         # reset in the middle of the file
    ("first_short", 10, "later", ""),        # fewer bytes than announced
    ("first_cut", 10, "later", ""),          # no length, and cut short
    ("first_garbage", 2, "later", ""),       # no HTTP
    ("404", 1190, "never", "http_404"),
    ("410", 26, "never", "http_410"),
    ("400", 62, "never", "http_400"),
    ("401", 18, "never", "http_401"),
    ("403", 82, "never", "http_403"),
    ("451", 2, "never", "http_451"),
    ("500", 20, "never", "http_500 host_unavailable waiting"),
    ("page", 100, "never", "not_an_image"),  # HTML instead of an image
    ("empty", 10, "never", "empty_body"),
    ("corrupt", 15, "never", "corrupt truncated"),
    ("cut", 10, "never", "truncated corrupt"),
    ("svg", 20, "never", "unsupported_format not_an_image"),
    ("loop", 10, "never", "too_many_redirects"),
    ("moved_404", 30, "never", "http_404"),
    ("moved_page", 50, "never", "not_an_image"),
    ("moved_dead", 10, "never", "host_not_found"),
    ("moved_inside", 3, "never", "address_not_allowed"),
    ("hang", 10, "never", "timeout too_slow waiting"),   # never answers
    ("stall", 10, "never", "timeout too_slow waiting"),  # stops in the middle
    ("huge", 4, "refused", "too_large"),                 # 40 MB, announced
    ("huge_chunked", 2, "refused", "too_large"),         # 40 MB, not announced
    ("pixels", 2, "refused", "too_many_pixels"),
    ("userinfo", 2, "never", "userinfo enqueue"),
    ("noai", 15, "optout", "opted_out"),                 # X-Robots-Tag
    ("noimageai", 15, "optout", "opted_out"),
    ("tdm", 4, "optout", "opted_out"),                   # TDM-Reservation: 1
    ("noindex", 30, "wide", "opted_out"),
]]

# A host is of such a kind, and so are all its URLs.
HOSTS = [Kind(*row) for row in [
    ("dead_name", 278, "never", "host_not_found"),
    ("name_failing", 12, "never", "name_server_failure host_unavailable waiting"),  # SERVFAIL
    ("name_silent", 5, "never", "name_server_failure timeout host_unavailable waiting"),  # no answer
    ("name_later", 12, "later", ""),                     # SERVFAIL for the first seconds
    ("refused", 20, "never", "connect_failed host_unavailable waiting"),
    ("refused_later", 15, "later", ""),                  # refuses for the first seconds
    ("no_route", 16, "never", "connect_failed host_unavailable waiting"),
    ("silent", 30, "never", "timeout host_unavailable waiting"),
    ("hung", 10, "never", "timeout host_unavailable waiting"),
    ("expired", 62, "never", "bad_certificate"),
    ("unknown_issuer", 36, "never", "bad_certificate"),
    ("other_name", 4, "never", "bad_certificate"),
    ("no_tls", 10, "never", "tls host_unavailable waiting"),
    ("wall", 200, "never", "http_403"),                  # 403 for everybody
    ("down", 30, "never", "http_503 host_unavailable waiting"),
    ("down_later", 28, "later", ""),                     # 503 for the first seconds
    ("cloud", 10, "never", "http_521 host_unavailable waiting"),
    ("rate_after", 100, "later", ""),                    # 429 with Retry-After beyond 10 requests/s
    ("rate", 50, "later", ""),                           # 429 beyond 10 requests/s
    ("two", 50, "later", ""),                            # 429 to more than two requests at a time
    ("robots", 60, "optout", "opted_out"),               # robots.txt names the agents
    ("robots_all", 40, "wide", "opted_out"),             # robots.txt, User-agent: *
    ("h2_reset", 10, "later", ""),                       # HTTP/2 breaks: every stream is reset; 1.1 works
    ("h2_goaway", 10, "later", ""),                      # HTTP/2 breaks: GOAWAY at once; 1.1 works
    ("plain_to_tls", 100, "image", ""),                  # http redirects to https
    ("secure", 2000, "image", ""),                       # https
    ("umlaut", 10, "image", ""),                         # a name beyond ASCII
]]

PLAIN = Kind("plain", 0, "image", "")
ALL = {kind.name: kind for kind in [*URLS, *HOSTS, PLAIN]}
# Hosts of these kinds have URLs of every kind.
MIXED = ("plain", "secure")
# https; those that offer HTTP/2
HTTP2 = ("h2_reset", "h2_goaway")
SECURE = ("secure", "expired", "unknown_issuer", "other_name", "no_tls", *HTTP2)
