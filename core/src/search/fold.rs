//! Letters as they are compared: in lower case, without accents.
//!
//! The letters of one sound that people type on different keyboards are the same here: `É`, `é` (in one character or two)
//! and `e`, `ß` and `ss`, full-width `Ａ` and `a`. Vowel signs of the scripts of India and their neighbours are letters,
//! and stay.

/// Adds what a character is compared as, which may be nothing.
pub(crate) fn fold(char: char, folded: &mut String) {
    if char.is_ascii() {
        folded.push(char.to_ascii_lowercase());
        return;
    }
    for lower in full_width(char).to_lowercase() {
        match lower {
            lower if is_mark(lower) => {}
            'ß' => folded.push_str("ss"),
            'æ' | 'ǣ' | 'ǽ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ĳ' => folded.push_str("ij"),
            'ﬀ' => folded.push_str("ff"),
            'ﬁ' => folded.push_str("fi"),
            'ﬂ' => folded.push_str("fl"),
            'ﬃ' => folded.push_str("ffi"),
            'ﬄ' => folded.push_str("ffl"),
            lower => folded.push(bare(lower)),
        }
    }
}

/// Full-width forms are those of ASCII, in a block of their own.
fn full_width(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(char as u32 - 0xfee0).unwrap_or(char),
        char => char,
    }
}

/// Accents that stand beside their letter, points of Hebrew, vowel signs and the stretching line of Arabic.
fn is_mark(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// A lower-case letter without its accents.
fn bare(char: char) -> char {
    let after = BARE.partition_point(|(first, _)| *first <= char);
    let Some((first, letters)) = after.checked_sub(1).and_then(|at| BARE.get(at)) else {
        return char;
    };
    letters.chars().nth((char as u32 - *first as u32) as usize).unwrap_or(char)
}

/// Runs of letters, each run from its first one on. Source: the canonical decompositions of Unicode 14, and letters with a
/// stroke. Upper-case ones stand for themselves, and are not looked up.
const BARE: &[(char, &str)] = &[
    (
        '\u{e0}',
        "aaaaaaæceeeeiiiidnooooo÷ouuuuyþyĀaĂaĄaĆcĈcĊcČcĎdĐdĒeĔeĖeĘeĚeĜgĞgĠgĢgĤhĦhĨiĪiĬiĮiİi",
    ),
    ('\u{135}', "jĶkĸĹlĻlĽl"),
    ('\u{142}', "lŃnŅnŇn"),
    ('\u{14d}', "oŎoŐo"),
    ('\u{155}', "rŖrŘrŚsŜsŞsŠsŢtŤtŦtŨuŪuŬuŮuŰuŲuŴwŶyŸŹzŻzŽzsb"),
    ('\u{19a}', "l"),
    ('\u{1a1}', "o"),
    ('\u{1b0}', "u"),
    ('\u{1b6}', "z"),
    ('\u{1ce}', "aǏiǑoǓuǕuǗuǙuǛuǝǞaǠaǢæ"),
    ('\u{1e7}', "gǨkǪoǬoǮʒj"),
    ('\u{1f5}', "g"),
    ('\u{1f9}', "nǺaǼæǾoȀaȂaȄeȆeȈiȊiȌoȎoȐrȒrȔuȖuȘsȚt"),
    ('\u{21f}', "h"),
    ('\u{227}', "aȨeȪoȬoȮoȰoȲy"),
    ('\u{23c}', "c"),
    ('\u{247}', "eɈj"),
    ('\u{24d}', "rɎy"),
    ('\u{374}', "ʹ"),
    ('\u{390}', "ι"),
    ('\u{3ac}', "αεηιυ"),
    ('\u{3c2}', "σ"),
    ('\u{3ca}', "ιυουω"),
    ('\u{3d3}', "ϒϒ"),
    ('\u{439}', "и"),
    ('\u{450}', "ееђг"),
    ('\u{457}', "і"),
    ('\u{45c}', "киу"),
    ('\u{477}', "ѵ"),
    ('\u{4c2}', "ж"),
    ('\u{4d1}', "аӒа"),
    ('\u{4d7}', "е"),
    ('\u{4db}', "әӜжӞз"),
    ('\u{4e3}', "иӤиӦо"),
    ('\u{4eb}', "өӬэӮуӰуӲуӴч"),
    ('\u{4f9}', "ы"),
    (
        '\u{1e01}',
        "aḂbḄbḆbḈcḊdḌdḎdḐdḒdḔeḖeḘeḚeḜeḞfḠgḢhḤhḦhḨhḪhḬiḮiḰkḲkḴkḶlḸlḺlḼlḾmṀmṂmṄnṆnṈnṊnṌoṎoṐoṒoṔpṖpṘrṚrṜrṞrṠsṢsṤsṦsṨsṪtṬtṮtṰtṲuṴuṶuṸuṺuṼvṾvẀwẂwẄwẆwẈwẊxẌxẎyẐzẒzẔzhtwyẚs",
    ),
    (
        '\u{1ea1}',
        "aẢaẤaẦaẨaẪaẬaẮaẰaẲaẴaẶaẸeẺeẼeẾeỀeỂeỄeỆeỈiỊiỌoỎoỐoỒoỔoỖoỘoỚoỜoỞoỠoỢoỤuỦuỨuỪuỬuỮuỰuỲyỴyỶyỸy",
    ),
    ('\u{1f00}', "αααααααα"),
    ('\u{1f10}', "εεεεεε"),
    ('\u{1f20}', "ηηηηηηηη"),
    ('\u{1f30}', "ιιιιιιιι"),
    ('\u{1f40}', "οοοοοο"),
    ('\u{1f50}', "υυυυυυυυ"),
    ('\u{1f60}', "ωωωωωωωω"),
    ('\u{1f70}', "ααεεηηιιοουυωω὾὿αααααααα"),
    ('\u{1f90}', "ηηηηηηηη"),
    ('\u{1fa0}', "ωωωωωωωω"),
    ('\u{1fb0}', "ααααα᾵αα"),
    ('\u{1fbe}', "ι"),
    ('\u{1fc2}', "ηηη῅ηη"),
    ('\u{1fd0}', "ιιιι῔῕ιι"),
    ('\u{1fe0}', "υυυυρρυυ"),
    ('\u{1ff2}', "ωωω῵ωω"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut folded = String::new();
        text.chars().for_each(|char| fold(char, &mut folded));
        folded
    }

    #[test]
    fn case_accents_and_widths_are_folded() {
        for (text, expected) in [
            ("Hello", "hello"),
            ("ÀÉÎÕÜ Ångström", "aeiou angstrom"),
            ("e\u{301}te\u{301} ÉTÉ été", "ete ete ete"),
            ("Straße STRASSE", "strasse strasse"),
            ("Łódź Øre Đakovo", "lodz ore dakovo"),
            ("ΆΛΦΑ ὀδός ὁδοσ", "αλφα οδοσ οδοσ"),
            ("Ёлка Йод", "елка иод"),
            ("Việt Nam", "viet nam"),
            ("İstanbul ISPARTA ısı", "istanbul isparta isi"),
            ("ＡＢＣ１２３", "abc123"),
            ("oﬃce", "office"),
            ("שָׁלוֹם مُحَمَّد", "שלום محمد"),
            ("हिन्दी ภาษาไทย 日本語", "हिन्दी ภาษาไทย 日本語"),
        ] {
            assert_eq!(folded(text), expected);
        }
    }

    #[test]
    fn table_is_in_order_and_folded_text_stays() {
        assert!(BARE.windows(2).all(|pair| {
            let end = pair[0].0 as usize + pair[0].1.chars().count();
            end <= pair[1].0 as usize
        }));
        for char in '\0'..=char::MAX {
            let once = folded(&char.to_string());
            assert_eq!(folded(&once), once, "{char:?}");
        }
    }
}
