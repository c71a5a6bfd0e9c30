//! Draws every state in both languages into a directory, to look at: `cargo run --example screens -- DIR [FONT]`.
//! FONT is a font file, or `best` for the best of this system; without it the built-in type is used.

use std::path::{Path, PathBuf};

use sealfax_drivers::display::{Font, Language, Style, draw};

#[path = "../tests/samples/mod.rs"]
mod samples;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().map_or("screens".into(), PathBuf::from);
    let font = match arguments.next() {
        None => Font::Bitmap,
        Some(word) if word == "best" => Font::best_available(),
        Some(path) => Font::open(Path::new(&path))?,
    };
    std::fs::create_dir_all(&directory)?;
    for (suffix, language) in [("ja", Language::Japanese), ("en", Language::English)] {
        let style = Style { language, font: font.clone() };
        for (name, screen, status) in samples::all() {
            let file = directory.join(format!("{name}-{suffix}.png"));
            std::fs::write(file, draw(&screen, &status, &style).to_png())?;
        }
    }
    Ok(())
}
