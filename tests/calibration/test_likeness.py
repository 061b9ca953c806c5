from calibration.likeness import likeness_line, likeness_section
from calibration.similarity import compare_profiles
from tests.calibration.made_profile import device_profile, profile_of

FIRST = profile_of(device_profile(0, -20.0), device_profile(1, -23.0))


def test_a_line_says_how_many_entries_agree():
    moved = profile_of(device_profile(0, -20.0), device_profile(1, -26.0))
    assert likeness_line(compare_profiles(FIRST, FIRST), "earlier.json").startswith(
        "likeness to earlier.json: 1.000 ("
    )
    line = likeness_line(compare_profiles(FIRST, moved), "earlier.json")
    assert line.endswith("3 of 4 entries differ by less than both are uncertain")


def test_the_section_names_quantities_in_words_and_what_differs():
    moved = profile_of(device_profile(0, -20.0), device_profile(1, -26.0))
    said = "".join(likeness_section(compare_profiles(FIRST, moved), "<earlier>"))
    assert "&lt;earlier&gt;" in said
    assert "These differ: device 1 gain_db." in said
    # 10^(-2.3) and 10^(-2.6): 1 - |a - b| / (a + b) = 0.668, the other device's 1
    assert '<th scope="row">gain</th>\n<td>0.834 (' in said
    assert "These differ" not in "".join(likeness_section(compare_profiles(FIRST, FIRST), "x"))
