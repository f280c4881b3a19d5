//! What an image costs, by OpenAI's rules.
//!
//! The law: the sizes, the steps and the numbers are those of OpenAI's guide "Images and vision", "Calculating costs"; where
//! it says nothing of a model yet (GPT-5.2 and later), those that its API bills. Models that are none of OpenAI's count as
//! GPT-4o. An image that does not say its size, as one behind a URL, counts as [`UNKNOWN`].

use super::size::Size;

/// The size of an image that is not here.
const UNKNOWN: Size = Size { width: 1024, height: 1024 };
/// The side of a patch, and how many are taken at most.
const PATCH: f64 = 32.0;
const MAX_PATCHES: f64 = 1536.0;
/// An image is made to fit a square of the first, then its shorter side to fit the second, then cut into tiles of the third.
const SQUARE: f64 = 2048.0;
const SHORTER: f64 = 768.0;
const TILE: f64 = 512.0;

/// How a model takes images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// So much for any image, and so much for each tile of it.
    Tiles(u32, u32),
    /// So much for each patch.
    Patches(f64),
}

/// By how a model's name begins. The first that fits holds, so that a longer name stands before a shorter.
const RULES: [(&str, Rule); 17] = [
    ("gpt-4o-mini", Rule::Tiles(2833, 5667)),
    ("gpt-4.1-mini", Rule::Patches(1.62)),
    ("gpt-4.1-nano", Rule::Patches(2.46)),
    ("gpt-5-mini", Rule::Patches(1.62)),
    ("gpt-5-nano", Rule::Patches(2.46)),
    ("gpt-5.1-codex-mini", Rule::Patches(1.62)),
    ("gpt-5.1", Rule::Tiles(70, 140)),
    ("gpt-5.", Rule::Patches(1.2)),
    ("gpt-5", Rule::Tiles(70, 140)),
    ("gpt-6", Rule::Patches(1.2)),
    ("o4-mini", Rule::Patches(1.72)),
    ("codex-mini", Rule::Patches(1.72)),
    ("o1", Rule::Tiles(75, 150)),
    ("o3", Rule::Tiles(75, 150)),
    ("computer-use-preview", Rule::Tiles(65, 129)),
    ("gpt-4", Rule::Tiles(85, 170)),
    ("", Rule::Tiles(85, 170)),
];

impl Rule {
    /// The one of a model, by OpenAI's word for it.
    pub fn of(model: &str) -> Self {
        let found = RULES.iter().find(|(start, _)| model.starts_with(start));
        found.map_or(Self::Tiles(85, 170), |(_, rule)| *rule)
    }

    /// The tokens of the image at `url`, looked at in that detail.
    pub fn tokens(self, url: &str, detail: Option<&str>) -> i64 {
        let size = || embedded(url).and_then(Size::of).unwrap_or(UNKNOWN);
        match self {
            Self::Tiles(base, _) if detail == Some("low") => base.into(),
            Self::Tiles(base, tile) => i64::from(base) + i64::from(tile) * tiles(size()),
            // Of these models none looks less closely.
            Self::Patches(factor) => (patches(size()) * factor).ceil() as i64,
        }
    }
}

/// The base64 of a data URL.
fn embedded(url: &str) -> Option<&str> {
    let (head, data) = url.split_once(',')?;
    let is_data = head.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    (is_data && head.ends_with(";base64")).then_some(data)
}

fn tiles(size: Size) -> i64 {
    let (mut width, mut height) = (f64::from(size.width), f64::from(size.height));
    for (side, limit) in [(width.max(height), SQUARE), (0.0, SHORTER)] {
        // The shorter side is the one that the first step has left.
        let side = if side > 0.0 { side } else { width.min(height) };
        if side > limit {
            (width, height) = (width * limit / side, height * limit / side);
        }
    }
    ((width / TILE).ceil() * (height / TILE).ceil()) as i64
}

fn patches(size: Size) -> f64 {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let count = |shrink: f64| (width * shrink / PATCH).ceil() * (height * shrink / PATCH).ceil();
    if count(1.0) <= MAX_PATCHES {
        return count(1.0);
    }
    // Made to fit, and then a little smaller, so that one side is of whole patches.
    let shrink = (PATCH * PATCH * MAX_PATCHES / (width * height)).sqrt();
    let (across, down) = (width * shrink / PATCH, height * shrink / PATCH);
    let whole = (across.floor() / across).min(down.floor() / down);
    // A strip of less than a patch's width has no such size: it counts as all there may be.
    match whole > 0.0 {
        // The side that is whole may not become one patch more by a rounding error.
        true => count(shrink * whole * (1.0 - 1e-9)).min(MAX_PATCHES),
        false => MAX_PATCHES,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn png(width: u32, height: u32) -> String {
        let head = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &width.to_be_bytes()[..], &height.to_be_bytes()[..]].concat();
        format!("data:image/png;base64,{}", STANDARD.encode(head))
    }

    #[test]
    fn the_guides_own_examples() {
        for (model, (width, height), detail, tokens) in [
            ("gpt-4o", (1024, 1024), Some("high"), 765),
            ("gpt-4o", (2048, 4096), Some("high"), 1105),
            ("gpt-4o", (4096, 8192), Some("low"), 85),
            ("gpt-4o", (150, 150), None, 255),
            ("gpt-4o", (512, 512), Some("auto"), 255),
            ("gpt-4o", (513, 512), Some("auto"), 425),
            ("gpt-4o-mini", (1024, 1024), None, 25_501),
            ("gpt-4.1", (1024, 1024), None, 765),
            ("gpt-5", (1024, 1024), None, 630),
            ("gpt-5-chat-latest", (1024, 1024), Some("low"), 70),
            ("gpt-5.1", (1024, 1024), None, 630),
            ("gpt-5.4", (1024, 1024), None, 1229),
            ("o3", (1024, 1024), None, 675),
            ("computer-use-preview", (1024, 1024), None, 581),
            ("llama-3.3-70b", (1024, 1024), None, 765),
            ("o4-mini", (1024, 1024), None, 1762),
            ("o4-mini", (1024, 1024), Some("low"), 1762),
            // 33 by 44 patches: 1452.
            ("gpt-4.1-mini", (1800, 2400), None, 2353),
            ("gpt-4.1-nano", (1800, 2400), None, 3572),
            ("gpt-4.1-mini", (1, 1), None, 2),
        ] {
            assert_eq!(
                Rule::of(model).tokens(&png(width, height), detail),
                tokens,
                "{model} {width}x{height} {detail:?}"
            );
        }
    }

    #[test]
    fn no_size_makes_it_unbounded() {
        for side in [1, 2, 31, 32, 33, 512, 2048, 2049, 65_535, 1 << 24, u32::MAX] {
            for other in [1, 32, 700, 65_535, u32::MAX] {
                let url = png(side, other);
                let tiles = Rule::of("gpt-4o").tokens(&url, None);
                assert!((255..=85 + 170 * 8).contains(&tiles), "{side}x{other}: {tiles}");
                let patches = Rule::of("gpt-4.1-mini").tokens(&url, None);
                assert!((2..=2489).contains(&patches), "{side}x{other}: {patches}");
            }
        }
    }

    #[test]
    fn what_says_no_size_counts_as_one_of_a_thousand_by_a_thousand() {
        for url in [
            "https://example.com/a.png",
            "",
            "data:,",
            "data:image/png;base64,",
            "data:image/png,abc",
            "\u{e9}\u{e9}\u{e9},x",
        ] {
            assert_eq!(Rule::of("gpt-4o").tokens(url, None), 765, "{url:?}");
            assert_eq!(Rule::of("gpt-4o").tokens(url, Some("low")), 85, "{url:?}");
        }
        assert_eq!(Rule::of("gpt-4o").tokens(&png(10, 10).replace("data:", "DATA:"), None), 255);
    }
}
