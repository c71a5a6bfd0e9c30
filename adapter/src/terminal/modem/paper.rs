//! Between mails and what goes over a telephone line: a mail becomes pages as its receiver can take them, pages that came in
//! become the machine's mail (the on-ramp and off-ramp of RFC 3249, in one house).

use sealfax_drivers::modem::{Coding, CopyQuality, Document, PageFormat, PageWish, Tray};
use sealfax_ifax::address::Mailbox;
use sealfax_ifax::header::{Headers, decode_words};
use sealfax_ifax::page::{self, Page, PageError};
use sealfax_ifax::t4::Decoded;
use sealfax_ifax::{mail, mime, text, tiff};

use super::coding::{self, on_paper, on_the_line};

/// Most pages that are taken from one call.
const MOST_PAGES: usize = 200;
/// Most octets of pixels that one call may bring: as many as an adapter's memory can spare.
const MOST_OCTETS: usize = 96 << 20;
/// A page with more damaged lines than one in so many is to be sent again (T.30 leaves the measure to the receiver).
const UNUSABLE: u32 = 10;
/// With more than one in so many the line wants new training.
const POOR: u32 = 50;
/// So many damaged lines in a row hide a line of text.
const HIDDEN: u32 = 24;
/// The widths that machines have (T.30, table 2).
const WIDTHS: [u32; 3] = [1728, 2048, 2432];

/// Pages on their way over the line.
#[derive(Debug)]
pub struct Outbound {
    pages: Vec<Page>,
    /// The machines that it may go to; `None`: whoever answers.
    machines: Option<Vec<String>>,
}

/// Why a mail has no pages that can be printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PaperError {
    /// The mail cannot be read.
    #[error("it cannot be read: {0}")]
    Mail(#[from] mail::MailError),
    /// It has neither pages nor is it text alone.
    #[error("it has no pages, and is more than text")]
    NoFax,
    /// They cannot be read.
    #[error("its pages cannot be read: {0}")]
    Tiff(#[from] tiff::TiffError),
    /// With what stands above them they are too high.
    #[error("its pages do not fit on paper: {0}")]
    Page(#[from] PageError),
}

impl Outbound {
    /// The pages of a mail, each with who sent it, when, what it is about and which it is above it. A mail that is no fax is
    /// printed as its text.
    pub fn of_mail(octets: &[u8]) -> Result<Self, PaperError> {
        let heading = heading(octets);
        let pages = match mail::parse(octets, &mail::Limits::default()) {
            Ok(fax) => {
                let cover = fax.text.map(|text| text::pages_from_text(&text)).unwrap_or_default();
                [cover, tiff::read(&fax.pages, &tiff::Limits::default())?].concat()
            }
            // What is more than text is not said to be printed when it was not.
            Err(mail::MailError::NoPages) => text::pages_from_text(&text_alone(octets).ok_or(PaperError::NoFax)?),
            Err(error) => return Err(error.into()),
        };
        let count = pages.len();
        let headed = |(number, page): (usize, Page)| page.headed(&format!("{heading}  {}/{count}", number + 1));
        Ok(Self::of_pages(pages.into_iter().enumerate().map(headed).collect::<Result<_, _>>()?))
    }

    /// Pages as they are.
    pub fn of_pages(pages: Vec<Page>) -> Self {
        Self { pages, machines: None }
    }

    /// The same for nobody else than the machines with these numbers.
    #[must_use]
    pub fn only_for(self, machines: Vec<String>) -> Self {
        Self { machines: Some(machines), ..self }
    }
}

/// What stands above every page: the sender, the time, and the subject with its marks.
fn heading(octets: &[u8]) -> String {
    let Ok((headers, _)) = Headers::parse(octets) else { return String::new() };
    let field = |name| headers.get(name).map(decode_words).unwrap_or_default();
    let from = Mailbox::parse_list(headers.get("From").unwrap_or_default()).ok().and_then(|mut list| list.pop());
    let from = from.map_or_else(String::new, |from| match from.name {
        Some(name) => format!("{name} <{}>", from.address),
        None => from.address.to_string(),
    });
    [field("Date"), from, field("Subject")].join("  ")
}

/// The text of a mail that is nothing else.
fn text_alone(octets: &[u8]) -> Option<String> {
    let entity = mime::Entity::parse(octets).ok()?;
    entity.content_type().ok().filter(|kind| kind.essence == "text/plain")?;
    entity.text().ok()
}

impl Document for Outbound {
    fn pages(&self) -> usize {
        self.pages.len()
    }

    fn wants(&self, page: usize) -> PageWish {
        let (width, resolution) = self
            .pages
            .get(page)
            .map_or((page::A4_WIDTH, page::Resolution::Fine), |page| (page.width(), page.resolution()));
        let width = WIDTHS.into_iter().find(|paper| *paper >= width).unwrap_or(WIDTHS[2]);
        PageWish { width, resolution: on_the_line(resolution) }
    }

    fn only_for(&self) -> Option<&[String]> {
        self.machines.as_deref()
    }

    fn page(&mut self, page: usize, format: &PageFormat) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let page = self.pages.get(page).cloned().ok_or("there is no such page")?;
        let fitted = page.fitted(format.width, on_paper(format.resolution))?;
        Ok(coding::encode(&fitted, format))
    }
}

/// Pages that come in over the line.
#[derive(Debug, Default)]
pub struct Inbound {
    pages: Vec<Page>,
    octets: usize,
}

impl Inbound {
    /// All of them.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }
}

impl Tray for Inbound {
    fn page(&mut self, format: &PageFormat, octets: &[u8]) -> CopyQuality {
        let Ok(read) = coding::decode(octets, format) else { return CopyQuality::Unusable };
        let quality = judged(&read, format);
        self.octets = self.octets.saturating_add(read.rows.len());
        if quality == CopyQuality::Unusable || self.pages.len() >= MOST_PAGES || self.octets > MOST_OCTETS {
            return CopyQuality::Unusable;
        }
        match Page::from_rows(format.width, read.height, on_paper(format.resolution), read.rows) {
            Ok(page) => self.pages.push(page),
            Err(_) => return CopyQuality::Unusable,
        }
        quality
    }
}

/// T.30 leaves it to the receiver what is good enough: a page without lines is none, and a line of text must not be lost.
fn judged(page: &Decoded, format: &PageFormat) -> CopyQuality {
    let ecm = format.ecm;
    let (quality, height) = (page.quality, page.height);
    let damaged = quality.damaged_lines;
    // Corrected octets are as they were sent: if they make no page, the sender has to hear of it. MMR ends in EOFB, at which
    // its first fault ends it too; RTC is not sent by all.
    let torn = ecm && (damaged > 0 || (format.coding == Coding::Mmr && !page.ended));
    // A page that did not end may have lost its last lines with the carrier.
    let lost = !ecm && (!page.ended || damaged.saturating_mul(UNUSABLE) > height || quality.most_consecutive >= HIDDEN);
    if height == 0 || torn || lost {
        CopyQuality::Unusable
    } else if !ecm && damaged.saturating_mul(POOR) > height {
        CopyQuality::Poor
    } else {
        CopyQuality::Good
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use sealfax_ifax::t4;

    #[test]
    fn text_lost_in_the_noise_is_asked_for_again() {
        let format = |coding, ecm| {
            let mut format = PageFormat::BASIC;
            (format.coding, format.ecm) = (coding, ecm);
            format
        };
        let page = |damaged_lines, most_consecutive, ended| Decoded {
            rows: Vec::new(),
            height: 2292,
            quality: t4::CopyQuality { damaged_lines, most_consecutive, missing_lines: 0 },
            ended,
        };
        for (damaged, consecutive, ecm, expected) in [
            (0, 0, false, CopyQuality::Good),
            (10, 3, false, CopyQuality::Good),
            (50, 3, false, CopyQuality::Poor),
            (300, 3, false, CopyQuality::Unusable),
            (30, 30, false, CopyQuality::Unusable),
            (0, 0, true, CopyQuality::Good),
            (1, 1, true, CopyQuality::Unusable),
        ] {
            assert_eq!(
                judged(&page(damaged, consecutive, true), &format(Coding::Mh, ecm)),
                expected,
                "{damaged} {consecutive} {ecm}"
            );
        }
        assert_eq!(judged(&page(0, 0, false), &format(Coding::Mr, false)), CopyQuality::Unusable);
        assert_eq!(judged(&page(0, 0, false), &format(Coding::Mh, true)), CopyQuality::Good);
        let corrected = format(Coding::Mmr, true);
        assert_eq!(judged(&page(0, 0, false), &corrected), CopyQuality::Unusable);
        assert_eq!(judged(&Decoded { height: 0, ..page(0, 0, true) }, &corrected), CopyQuality::Unusable);
    }

    #[test]
    fn a_mail_without_pages_is_printed_as_its_words_if_it_is_nothing_else() {
        let mail = b"From: Taro <taro@a.example>\r\nTo: fax@b.example\r\nSubject: hello\r\nDate: Sat, 28 Nov 2026 10:00:00 +0900\r\nMessage-ID: <1@a.example>\r\n\r\nSee you at three.\r\n";
        let paper = Outbound::of_mail(mail).unwrap();
        assert_eq!(paper.pages(), 1);
        assert!(paper.pages[0].black_pixels() > 500);
        assert_eq!(heading(mail), "Sat, 28 Nov 2026 10:00:00 +0900  Taro <taro@a.example>  hello");
        let more = String::from_utf8_lossy(mail).replace("\r\n\r\n", "\r\nContent-Type: application/pdf\r\n\r\n");
        assert!(matches!(Outbound::of_mail(more.as_bytes()), Err(PaperError::NoFax)));
        assert!(matches!(Outbound::of_mail(b"Subject: x\r\n\r\n"), Err(PaperError::Mail(_))));
    }
}
