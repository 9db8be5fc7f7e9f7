"""Profile addresses as officers paste them into the register."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import HANDLES, facebook, match

PASTED = {
    "https://x.com/kkmputrajaya": ("x", "kkmputrajaya"),
    "https://twitter.com/KKMPutrajaya": ("x", "KKMPutrajaya"),
    "twitter.com/kkmputrajaya": ("x", "kkmputrajaya"),
    "www.x.com/kkmputrajaya/": ("x", "kkmputrajaya"),
    "https://mobile.twitter.com/kkmputrajaya?lang=ms": ("x", "kkmputrajaya"),
    "https://x.com/@kkmputrajaya": ("x", "kkmputrajaya"),
    "https://x.com/kkmputrajaya/status/1790000000000000001": ("x", "kkmputrajaya"),
    "HTTPS://X.COM/kkmputrajaya": ("x", "kkmputrajaya"),
    " https://x.com/kkmputrajaya. ": ("x", "kkmputrajaya"),
    "https://twitter.com/#!/kkmputrajaya": ("x", "kkmputrajaya"),
    "https://x.com/i/flow/login": None,
    "https://x.com/intent/follow?screen_name=kkmputrajaya": None,
    "https://x.com/": None,
    "https://x.com/lebih_lima_belas_huruf": None,
    "https://x.com.example.my/kkmputrajaya": None,
    "https://notx.com/kkmputrajaya": None,
    "https://www.facebook.com/kementeriankesihatan": ("facebook", "kementeriankesihatan"),
    "facebook.com/kementerian.kesihatan/": ("facebook", "kementerian.kesihatan"),
    "https://m.facebook.com/jpd.demo?ref=bookmarks": ("facebook", "jpd.demo"),
    "https://ms-my.facebook.com/jpd.demo/posts/123": ("facebook", "jpd.demo"),
    "https://web.facebook.com/jpd.demo": ("facebook", "jpd.demo"),
    "https://fb.com/jpd.demo": ("facebook", "jpd.demo"),
    "https://www.facebook.com/profile.php?id=100064500000001": ("facebook", "100064500000001"),
    "https://www.facebook.com/100064500000001": ("facebook", "100064500000001"),
    "https://www.facebook.com/pages/Jabatan-Demo/123456789012": ("facebook", "123456789012"),
    "https://www.facebook.com/pages/category/Government/Jabatan-Demo-123456789012/": ("facebook", "123456789012"),
    "https://www.facebook.com/people/Jabatan-Demo/100064500000001/": ("facebook", "100064500000001"),
    "https://www.facebook.com/p/Jabatan-Demo-100064500000001/": ("facebook", "100064500000001"),
    "https://www.facebook.com/pg/jpd.demo/about": ("facebook", "jpd.demo"),
    "https://www.facebook.com/Jabatan-Demo-123456789012": ("facebook", "123456789012"),
    "https://www.facebook.com/#!/jpd.demo": ("facebook", "jpd.demo"),
    "https://www.facebook.com/groups/123456789": None,
    "https://www.facebook.com/watch/?v=1": None,
    "https://www.facebook.com/sharer/sharer.php?u=https://jpd.example.my": None,
    "https://l.facebook.com/l.php?u=https://jpd.example.my": None,
    "https://developers.facebook.com/docs": None,
    "https://www.facebook.com/": None,
    "https://facebook.com.example.my/jpd": None,
    "https://myspace.com/jpddemo": ("myspace", "jpddemo"),
    "http://www.myspace.com/jpddemo/": ("myspace", "jpddemo"),
    "https://myspace.com/discover/trending": None,
    "https://myspace.com": None,
    "https://www.youtube.com/@jpdemo": ("youtube", "jpdemo"),
    "youtube.com/@jpd.demo-rasmi/videos": ("youtube", "jpd.demo-rasmi"),
    "https://m.youtube.com/@jpdemo?si=abc": ("youtube", "jpdemo"),
    "https://www.youtube.com/%40jpdemo/live": ("youtube", "jpdemo"),
    "https://www.youtube.com/channel/UCJabatanPerkhidmatanDem": ("youtube", "UCJabatanPerkhidmatanDem"),
    "https://studio.youtube.com/channel/UCJabatanPerkhidmatanDem/videos": ("youtube", "UCJabatanPerkhidmatanDem"),
    "https://www.youtube.com/feeds/videos.xml?channel_id=UCJabatanPerkhidmatanDem": (
        "youtube",
        "UCJabatanPerkhidmatanDem",
    ),
    "https://www.youtube.com/playlist?list=UUJabatanPerkhidmatanDem": ("youtube", "UCJabatanPerkhidmatanDem"),
    "https://www.youtube.com/user/jpdemo/featured": ("youtube", "jpdemo"),
    "http://www.youtube.com/c/JPDemoRasmi": ("youtube", "JPDemoRasmi"),
    "https://www.youtube.com/jpdemo": ("youtube", "jpdemo"),
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ": None,
    "https://youtu.be/dQw4w9WgXcQ": None,
    "https://www.youtube.com/shorts/dQw4w9WgXcQ": None,
    "https://www.youtube.com/live/dQw4w9WgXcQ": None,
    "https://www.youtube.com/results?search_query=jpdemo": None,
    "https://www.youtube.com/channel/jpdemo": None,
    "https://www.youtube.com/playlist?list=PLJabatan": None,
    "https://www.youtube.com/": None,
    "https://accounts.google.com/ServiceLogin?service=youtube": None,
    "https://youtube.com.example.my/@jpdemo": None,
    "https://notyoutube.com/@jpdemo": None,
    "https://www.instagram.com/jpd.demo/": ("instagram", "jpd.demo"),
    "instagram.com/jpd_demo": ("instagram", "jpd_demo"),
    "https://m.instagram.com/jpd.demo?igsh=MWQ1ZGUx&utm_source=qr": ("instagram", "jpd.demo"),
    "https://www.instagram.com/@jpd.demo": ("instagram", "jpd.demo"),
    "https://www.instagram.com/jpd.demo/reels/": ("instagram", "jpd.demo"),
    "https://www.instagram.com/jpd.demo/p/DAalbum0001/": ("instagram", "jpd.demo"),
    "https://www.instagram.com/stories/jpd.demo/3456789/": ("instagram", "jpd.demo"),
    "https://www.instagram.com/_u/jpd.demo": ("instagram", "jpd.demo"),
    "https://instagr.am/jpd.demo": ("instagram", "jpd.demo"),
    "https://ig.me/m/jpd.demo": ("instagram", "jpd.demo"),
    "https://www.instagram.com/p/DAalbum0001/": None,
    "https://www.instagram.com/reel/DAreel00002/": None,
    "https://www.instagram.com/stories/highlights/17900000000000001/": None,
    "https://www.instagram.com/stories/": None,
    "https://www.instagram.com/explore/tags/jpd/": None,
    "https://www.instagram.com/accounts/login/?next=/jpd.demo/": None,
    "https://www.instagram.com/": None,
    "https://www.instagram.com/jpd demo": None,
    "https://instagram.com.example.my/jpd": None,
    "https://help.instagram.com/jpd": None,
    "https://bsky.app/profile/jpd.gov.my": ("bluesky", "jpd.gov.my"),
    "https://bsky.app/profile/JPD.gov.my/": ("bluesky", "jpd.gov.my"),
    "https://bsky.app/profile/@jpd.gov.my": ("bluesky", "jpd.gov.my"),
    "bsky.app/profile/jpd.bsky.social": ("bluesky", "jpd.bsky.social"),
    "https://bsky.app/profile/jpd.gov.my/post/3lpost2222222?ref=x": ("bluesky", "jpd.gov.my"),
    "https://www.bsky.app/profile/jpd.gov.my": ("bluesky", "jpd.gov.my"),
    "https://bsky.app/profile/did:plc:7iza6de2dwap2sbkpav7c6c6": ("bluesky", "did:plc:7iza6de2dwap2sbkpav7c6c6"),
    "https://bsky.app/profile/did%3Aplc%3A7iza6de2dwap2sbkpav7c6c6": ("bluesky", "did:plc:7iza6de2dwap2sbkpav7c6c6"),
    "https://bsky.app/profile/did:web:jpd.gov.my": ("bluesky", "did:web:jpd.gov.my"),
    "https://jpd.bsky.social": ("bluesky", "jpd.bsky.social"),
    "https://bsky.app/profile/handle.invalid": None,
    "https://bsky.app/profile/jpd": None,
    "https://bsky.app/profile/-jpd.gov.my": None,
    "https://bsky.app/search?q=jpd.gov.my": None,
    "https://bsky.app/": None,
    "https://bsky.app/profile": None,
    "https://bsky.social/about": None,
    "https://a.b.bsky.social": None,
    "https://bsky.app.example.my/profile/jpd.gov.my": None,
    "https://notbsky.app/profile/jpd.gov.my": None,
    "https://www.threads.net/@jpd.demo": ("threads", "jpd.demo"),
    "https://www.threads.com/@jpd_demo?hl=ms": ("threads", "jpd_demo"),
    "threads.net/@JPD.demo/": ("threads", "JPD.demo"),
    "https://www.threads.com/@jpd.demo/post/DXbQ0LAk7UW?xmt=AQF0": ("threads", "jpd.demo"),
    "https://www.threads.com/@jpd.demo/replies": ("threads", "jpd.demo"),
    "https://m.threads.net/@jpd.demo": ("threads", "jpd.demo"),
    "https://www.threads.com/t/DXbQ0LAk7UW": None,
    "https://www.threads.com/login": None,
    "https://www.threads.com/search?q=jpd": None,
    "https://www.threads.com/jpd.demo": None,
    "https://www.threads.com/@": None,
    "https://www.threads.com/@jpd demo": None,
    "https://threads.com.example.my/@jpd": None,
    "https://mythreads.net/@jpd": None,
    "https://www.jpd.example.my/feed": None,
    "Jabatan Perkhidmatan Demo": None,
    "": None,
    "http://[": None,
    "javascript:alert(1)//x.com/kkm": None,
}


@pytest.mark.parametrize(("pasted", "named"), PASTED.items())
def test_a_pasted_address_names(pasted, named):
    assert match(pasted) == named


@given(st.text(max_size=80))
def test_whatever_is_pasted_is_an_answer_and_no_crash(text):
    hosts = ("x.com", "facebook.com", "myspace.com", "www.youtube.com", "www.youtube.com/user", "bsky.app/profile")
    for address in (text, *(f"https://{host}/{text}" for host in hosts)):
        found = match(address)
        assert found is None or (found[0] in HANDLES and found[1] and "/" not in found[1])


@given(st.text(max_size=80))
def test_a_page_s_name_is_one_step_of_a_path(text):
    page = facebook.handle(f"https://www.facebook.com/{text}")
    assert page is None or not set(page) & set("/?#")
