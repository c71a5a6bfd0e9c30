//! `cargo rig bench pages`: pages coded and read beside libtiff, each in its own process, in memory, the same pixels and the same
//! codings.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sealfax_ifax::t4::{Coding, EncodeOptions, Eol, FillOrder};
use sealfax_ifax::text::{Style, draw, pages_from_text};
use sealfax_ifax::{Page, Resolution, tiff};

use super::meter::growth;
use super::{BenchError, Benchmark, Options, Progress, Row};
use crate::peer::process::find;

/// This benchmark.
pub(super) const BENCHMARK: Benchmark =
    Benchmark { name: "pages", title: "Pages coded and read in MH, MR and MMR, beside libtiff in process", run };

const LIBTIFF: &str = "libtiff";
const HELPER: &str = include_str!("libtiff.c");

const CODINGS: [(&str, Coding); 3] =
    [("MH", Coding::ModifiedHuffman), ("MR", Coding::ModifiedRead), ("MMR", Coding::ModifiedModifiedRead)];

fn run(options: &Options, progress: &Progress) -> Result<Vec<Row>, BenchError> {
    progress.at("pages, and the peer");
    find("cc", "gcc")?;
    let folder = tempfile::tempdir().map_err(BenchError::broken)?;
    let source = folder.path().join("libtiff.c");
    std::fs::write(&source, HELPER).map_err(BenchError::broken)?;
    let peer = Peer { program: folder.path().join("libtiff"), folder };
    let mut cc = Command::new("cc");
    cc.arg("-O2").arg("-o").arg(&peer.program).arg(&source).arg("-ltiff");
    said(cc, "cc (it needs libtiff-dev)")?;

    progress.at("a hundred pages, from file to file");
    let mut rows = hundred_pages(&peer.path("document"))?;
    for (what, page) in [("text", text()), ("photograph", photograph())] {
        std::fs::write(peer.path("rows"), page.rows()).map_err(BenchError::broken)?;
        for (name, coding) in CODINGS {
            let mut best = [f64::INFINITY; 4];
            for round in 1..=options.rounds {
                progress.at(format!("{what}, {name}, round {round} of {}", options.rounds));
                let measured = [
                    encoded_by_us(&page, coding, options.seconds)?,
                    peer.measured("encode", name, &page, options.seconds)?,
                    // What the peer has written, for both.
                    decoded_by_us(&page, &peer.path("tiff"), options.seconds)?,
                    peer.measured("decode", name, &page, options.seconds)?,
                ];
                for (best, measured) in best.iter_mut().zip(measured) {
                    *best = best.min(measured);
                }
            }
            let [our_encode, their_encode, our_decode, their_decode] = best;
            let row = |did: &str, ours, theirs| {
                Row::less(&format!("{did} in {name}, a page of {what}: processor time"), "us", ours, LIBTIFF, theirs)
                    .at_least(2.0)
            };
            rows.push(row("Coded", our_encode, their_encode));
            rows.push(row("Read", our_decode, their_decode));
        }
    }
    Ok(rows)
}

/// What is resident at most, above what was before, while a hundred pages are written and read, page after page.
fn hundred_pages(path: &std::path::Path) -> Result<Vec<Row>, BenchError> {
    let (page, limits) = (text(), tiff::Limits::default());
    let written = growth(|| {
        let file = std::fs::File::create(path).map_err(BenchError::broken)?;
        let mut writer = tiff::Writer::new(file, &EncodeOptions::PROFILE_S, 100).map_err(BenchError::broken)?;
        (0..100).try_for_each(|_| writer.page(&page)).map_err(BenchError::broken)?;
        writer.finish().map(drop).map_err(BenchError::broken)
    })?;
    let read = growth(|| {
        let file = std::fs::File::open(path).map_err(BenchError::broken)?;
        let mut pages = tiff::Pages::open(tiff::Seekable(file), &limits).map_err(BenchError::broken)?;
        let count = pages.try_fold(0, |count, scan| scan.map(|scan| count + u32::from(scan.page == page)));
        match count.map_err(BenchError::broken)? {
            100 => Ok(()),
            other => Err(BenchError::broken(format!("{other} of 100 pages came back"))),
        }
    })?;
    let row = |did: &str, kib| {
        Row::alone(&format!("{did}, a document of 100 pages: memory above the baseline"), "KiB", kib)
            .no_more_than(8192.0)
    };
    Ok(vec![row("Written", written), row("Read", read)])
}

/// A densely written A4 page.
fn text() -> Page {
    let line =
        "The quick brown fox jumps over the lazy dog, and 1,234 offers were sent on 28 November 2026 to 56 addresses.";
    let mut page = pages_from_text(&format!("{line}\n").repeat(20))
        .into_iter()
        .next()
        .unwrap_or_else(|| Page::a4(Resolution::Fine));
    for number in 0..8 {
        draw(
            &mut page,
            120,
            1500 + number * 90,
            "佐藤 花子 様 親展文書を送付いたします。",
            Style { scale: 2, bold: number % 2 == 0 },
        );
    }
    page
}

/// A grey picture of soft shapes, as error diffusion makes dots of it (Floyd and Steinberg, 1976).
fn photograph() -> Page {
    let (width, height) = (1728u32, 2292u32);
    let mut rows = vec![0u8; 216 * height as usize];
    let (mut carried, mut next) = (vec![0f32; width as usize + 2], vec![0f32; width as usize + 2]);
    for (y, row) in rows.chunks_exact_mut(216).enumerate() {
        let v = y as f32 / height as f32;
        for x in 0..width as usize {
            let u = x as f32 / width as f32;
            let shapes = (u * 9.0).sin() * (v * 7.0).cos() + ((u - 0.5).hypot(v - 0.4) * 20.0).cos() * 0.5;
            let wanted = (0.5 + shapes * 0.3).clamp(0.02, 0.98) + carried[x + 1];
            let black = wanted > 0.5;
            if black {
                row[x / 8] |= 0x80 >> (x % 8);
            }
            let error = wanted - f32::from(u8::from(black));
            carried[x + 2] += error * 7.0 / 16.0;
            next[x] += error * 3.0 / 16.0;
            next[x + 1] += error * 5.0 / 16.0;
            next[x + 2] += error / 16.0;
        }
        std::mem::swap(&mut carried, &mut next);
        next.fill(0.0);
    }
    Page::from_rows(width, height, Resolution::Fine, rows).unwrap_or_else(|_| Page::a4(Resolution::Fine))
}

fn encoded_by_us(page: &Page, coding: Coding, seconds: f64) -> Result<f64, BenchError> {
    let options =
        EncodeOptions { coding, eol: Eol::Unaligned, rtc: false, fill_order: FillOrder::MsbFirst, k: 2, line_bits: 0 };
    let pages = std::slice::from_ref(page);
    measured(seconds, || tiff::write_with(pages, &options).map(drop).map_err(BenchError::broken))
}

fn decoded_by_us(page: &Page, file: &std::path::Path, seconds: f64) -> Result<f64, BenchError> {
    let octets = std::fs::read(file).map_err(BenchError::broken)?;
    let limits = tiff::Limits::default();
    let read = tiff::read(&octets, &limits).map_err(BenchError::broken)?;
    if read.first() != Some(page) {
        return Err(BenchError::broken("we read other pixels than the peer wrote"));
    }
    measured(seconds, || tiff::read(&octets, &limits).map(drop).map_err(BenchError::broken))
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Microseconds of one.
fn measured(seconds: f64, mut work: impl FnMut() -> Result<(), BenchError>) -> Result<f64, BenchError> {
    let (begin, mut done) = (cpu(), 0u32);
    while done == 0 || (cpu() - begin).as_secs_f64() < seconds {
        work()?;
        done += 1;
    }
    Ok((cpu() - begin).as_secs_f64() * 1e6 / f64::from(done))
}

struct Peer {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Peer {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn measured(&self, what: &str, coding: &str, page: &Page, seconds: f64) -> Result<f64, BenchError> {
        let mut command = Command::new(&self.program);
        command.arg(what).arg(coding.to_lowercase()).arg(page.width().to_string()).arg(page.height().to_string());
        command.arg(self.path("rows")).arg(self.path("tiff")).arg(seconds.to_string());
        let text = said(command, LIBTIFF)?;
        text.parse().map_err(|_| BenchError::broken(text.clone()))
    }
}

fn said(mut command: Command, who: &str) -> Result<String, BenchError> {
    let output = command.output().map_err(BenchError::broken)?;
    if !output.status.success() {
        return Err(BenchError::broken(format!("{who}: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
