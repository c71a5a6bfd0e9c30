//! Draws a [`Screen`]: a field in the state's colour with a pictogram and the words, the name largest; above it the
//! office and the clock, beneath it the ports, the reader and the marker; the fault band over any state.

use super::canvas::{Canvas, capsule, rounded};
use super::font::{Font, Place};
use super::marker::Marker;
use super::palette::{self, Pair};
use super::pictogram::Pen;
use super::safe::safe;
use super::words::Words;
use super::{DiagnosisLine, DiagnosisMark, Frame, Language, Screen, ScreenKind, Status};

/// How a screen is drawn.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// Which language leads.
    pub language: Language,
    /// What the words are set in.
    pub font: Font,
}

/// A capital of a name is at least this high: a tenth of the screen.
pub const NAME_CAPITAL: f32 = 72.0;

const WIDTH: f32 = Frame::WIDTH as f32;
const HEIGHT: f32 = Frame::HEIGHT as f32;
const TOP_BAR: f32 = 52.0;
const BOTTOM_BAR: f32 = 58.0;
const BAND: f32 = 56.0;
const MARGIN: f32 = 40.0;
/// Where the words begin, right of the pictogram.
const TEXT_LEFT: f32 = 312.0;
const TEXT_WIDTH: f32 = WIDTH - TEXT_LEFT - MARGIN;
/// Narrower than this a line is no longer easily read.
const MIN_CONDENSE: f32 = 0.58;

/// One line, or one drawn thing, in the column of words.
enum Block {
    Text {
        text: String,
        em: f32,
        condense: f32,
        /// Smaller text after it on the same line: the honorific, or the count of further names.
        tail: Option<(String, f32)>,
        /// Height of the line as part of the em.
        leading: f32,
    },
    Space(f32),
    Rule,
    /// Digits entered.
    Dots(u8),
    /// A thing checked: its two labels, and whether it is done.
    Step(&'static str, &'static str, bool),
    /// Done of all.
    Progress(u32, u32),
}

/// Draws a screen.
pub fn draw(screen: &Screen, status: &Status, style: &Style) -> Frame {
    let field = palette::field(screen.kind());
    let words = screen.words(style.language);
    let mut canvas = Canvas::new(field.paper);
    let mut painter = Painter { canvas: &mut canvas, font: &style.font, pair: field };
    let top = TOP_BAR + if status.fault.is_some() { BAND } else { 0.0 };
    let bottom = HEIGHT - BOTTOM_BAR;
    if let Screen::Diagnosis { lines, .. } = screen {
        painter.diagnosis(lines, &words, top, bottom);
    } else if screen.kind() == ScreenKind::WrongCard {
        painter.wrong_card(&words, top, bottom);
    } else {
        painter.state(screen, &words, top, bottom);
    }
    painter.edge(status, style.language);
    Marker::of(screen, style.language).draw(&mut canvas);
    canvas.into_frame()
}

/// The picture of the same screen with the same fault band, its edges as this status has them: what [`draw`] would give, in a
/// fraction of its time.
pub(super) fn edges_anew(frame: Frame, screen: &Screen, status: &Status, style: &Style) -> Frame {
    let mut canvas = Canvas::on(frame);
    let pair = palette::field(screen.kind());
    Painter { canvas: &mut canvas, font: &style.font, pair }.edge(status, style.language);
    Marker::of(screen, style.language).draw(&mut canvas);
    canvas.into_frame()
}

struct Painter<'a> {
    canvas: &'a mut Canvas,
    font: &'a Font,
    pair: Pair,
}

impl Painter<'_> {
    /// The em at which a capital is `NAME_CAPITAL` high.
    fn name_em(&self) -> f32 {
        (NAME_CAPITAL + 1.0) / self.font.cap_ratio()
    }

    /// A state as pictogram and column of words, the column centred between `top` and `bottom`.
    fn state(&mut self, screen: &Screen, words: &Words, top: f32, bottom: f32) {
        let room = bottom - top - 24.0;
        let mut blocks = self.column(screen, words, 1.0);
        // Four names and a fault band are the most that ever stands here; then the smaller lines give way, not the names.
        for scale in [0.9, 0.8, 0.7, 0.6] {
            if height(&blocks) <= room {
                break;
            }
            blocks = self.column(screen, words, scale);
        }
        while height(&blocks) > room && blocks.len() > 1 {
            blocks.pop();
        }
        let middle = (top + bottom) / 2.0;
        let size = if screen.kind() == ScreenKind::Idle { 150.0 } else { 204.0 };
        Pen::new(self.canvas, self.pair, (MARGIN + 116.0, middle), size).draw(screen.kind());
        self.lay(&blocks, TEXT_LEFT, middle - height(&blocks) / 2.0);
    }

    /// The alert stays while the wrong card is in: red above, and beneath it whom the documents are for.
    fn wrong_card(&mut self, words: &Words, top: f32, bottom: f32) {
        let names = self.names(words, TEXT_WIDTH);
        let amber = height(&names) + 72.0;
        let split = (bottom - amber).max(top + 118.0);
        let red = self.pair;
        let middle = (top + split) / 2.0;
        let size = (split - top - 28.0).clamp(80.0, 190.0);
        Pen::new(self.canvas, red, (MARGIN + 116.0, middle), size).draw(ScreenKind::WrongCard);
        let mut blocks = Vec::new();
        for scale in [1.0, 0.85, 0.7, 0.6] {
            blocks.clear();
            self.text(&mut blocks, &words.first.headline, 46.0 * scale, 2);
            blocks.push(Block::Space(14.0 * scale));
            self.text(&mut blocks, &words.second.headline, 36.0 * scale, 1);
            if height(&blocks) <= split - top - 12.0 {
                break;
            }
        }
        self.lay(&blocks, TEXT_LEFT, middle - height(&blocks) / 2.0);

        self.pair = palette::AMBER;
        let paper = self.pair.paper;
        self.canvas.fill(0, split as i32, WIDTH as i32, bottom as i32, paper);
        let middle = (split + bottom) / 2.0;
        Pen::new(self.canvas, self.pair, (MARGIN + 116.0, middle), 120.0).envelope();
        self.lay(&names, TEXT_LEFT, middle - height(&names) / 2.0);
        self.pair = red;
    }

    /// The technician's page: every check in two columns, and at the foot what to do first.
    fn diagnosis(&mut self, lines: &[DiagnosisLine], words: &Words, top: f32, bottom: f32) {
        const HEADER: f32 = 78.0;
        const FOOT: f32 = 104.0;
        const GAP: f32 = 40.0;
        let ink = self.pair;
        let middle = top + HEADER / 2.0;
        Pen::new(self.canvas, ink, (MARGIN + 26.0, middle), 50.0).draw(ScreenKind::Diagnosis);
        let end = self.write(&words.first.headline, MARGIN + 72.0, middle + 15.0, 42.0, 1.0);
        let other = self.font.cut(&words.second.headline, 27.0, WIDTH - MARGIN - end - 28.0);
        self.write(&other, end + 28.0, middle + 13.0, 27.0, 1.0);

        let advised = !words.first.instruction.is_empty();
        let foot = bottom - if advised { FOOT } else { 12.0 };
        let rows = lines.len().div_ceil(2).max(1);
        let tall = ((foot - top - HEADER) / rows as f32).min(68.0);
        let wide = (WIDTH - MARGIN * 2.0 - GAP) / 2.0;
        for (n, line) in lines.iter().enumerate() {
            let left = MARGIN + if n < rows { 0.0 } else { wide + GAP };
            let middle = top + HEADER + tall * ((n % rows) as f32 + 0.5);
            self.check(line, words.language, [left, wide], middle);
        }
        self.pair = ink;
        if advised {
            self.canvas.fill(MARGIN as i32, foot as i32, (WIDTH - MARGIN) as i32, foot as i32 + 2, ink.ink);
            let room = WIDTH - MARGIN * 2.0;
            let first = self.font.cut(&words.first.instruction, 31.0, room);
            self.write(&first, MARGIN, foot + 47.0, 31.0, 1.0);
            let second = self.font.cut(&words.second.instruction, 25.0, room);
            self.write(&second, MARGIN, foot + 86.0, 25.0, 1.0);
        }
    }

    /// One check: its mark, its name in both languages, and the code at the right.
    fn check(&mut self, line: &DiagnosisLine, language: Language, [left, wide]: [f32; 2], middle: f32) {
        let bad = matches!(line.mark, DiagnosisMark::Failed | DiagnosisMark::Warning);
        self.pair = if bad { palette::EDGE_FAULT } else { palette::EDGE };
        let mut pen = Pen::new(self.canvas, self.pair, (left + 18.0, middle), 34.0);
        match line.mark {
            DiagnosisMark::Well => pen.health(true),
            DiagnosisMark::Failed => pen.health(false),
            DiagnosisMark::Warning => pen.alert(),
            DiagnosisMark::Blocked => pen.waiting(),
            DiagnosisMark::Open => pen.open(),
        }
        let (first, second) = match language {
            Language::Japanese => (&line.japanese, &line.english),
            Language::English => (&line.english, &line.japanese),
        };
        let mut room = wide - 52.0;
        if let Some(code) = line.code {
            let code = safe(code);
            let length = self.font.width(&code, 26.0);
            self.write(&code, left + wide - length, middle + 9.0, 26.0, 1.0);
            room -= length + 20.0;
        }
        let first = self.font.cut(&safe(first), 28.0, room);
        self.write(&first, left + 52.0, middle + 1.0, 28.0, 1.0);
        let second = self.font.cut(&safe(second), 18.0, room);
        self.write(&second, left + 52.0, middle + 23.0, 18.0, 1.0);
    }

    fn column(&self, screen: &Screen, words: &Words, scale: f32) -> Vec<Block> {
        let mut blocks = Vec::new();
        let named = !words.names.is_empty();
        if named {
            blocks.extend(self.names(words, TEXT_WIDTH));
            blocks.push(Block::Space(16.0 * scale));
        }
        let (first, second) = (&words.first, &words.second);
        if words.names.len() > 2 {
            // A list of names leaves room for one line in each language.
            self.text(&mut blocks, &first.sentence, 44.0 * scale, 1);
            blocks.push(Block::Space(10.0 * scale));
            self.text(&mut blocks, &second.sentence, 32.0 * scale, 1);
            return blocks;
        }
        // Without a name the headline is what is read from afar; with one it steps back behind the name.
        let (headline, instruction) = if named { (46.0, 58.0) } else { (84.0, 58.0) };
        if !first.headline.is_empty() {
            let em = if first.instruction.is_empty() && named { 64.0 } else { headline };
            self.text(&mut blocks, &first.headline, em * scale, 2);
        }
        if !first.instruction.is_empty() {
            if !first.headline.is_empty() {
                blocks.push(Block::Space(14.0 * scale));
            }
            self.text(&mut blocks, &first.instruction, instruction * scale, 2);
        }
        match screen {
            Screen::Pin { entered, .. } => {
                blocks.push(Block::Space(26.0 * scale));
                blocks.push(Block::Dots(*entered));
                blocks.push(Block::Space(10.0 * scale));
            }
            Screen::Checking { card, certificate, server } => {
                blocks.push(Block::Space(28.0 * scale));
                let steps = [
                    ("カード", "Card", *card),
                    ("証明書", "Certificate", *certificate),
                    ("サーバー", "Server", *server),
                ];
                for (ja, en, done) in steps {
                    let (a, b) = match words.language {
                        Language::Japanese => (ja, en),
                        Language::English => (en, ja),
                    };
                    blocks.push(Block::Step(a, b, done));
                }
            }
            Screen::Receiving { number, total } => {
                blocks.push(Block::Space(34.0 * scale));
                blocks.push(Block::Progress(*number, *total));
            }
            Screen::Held { .. } => {
                blocks.push(Block::Space(18.0 * scale));
                self.text(&mut blocks, &first.detail, 104.0 * scale, 1);
            }
            _ => {}
        }
        let small = 34.0 * scale;
        let own_detail = matches!(screen, Screen::Held { .. }) || first.detail.is_empty();
        if !own_detail {
            blocks.push(Block::Space(18.0 * scale));
            let same = first.detail == second.detail;
            let detail = if same { first.detail.clone() } else { format!("{}  /  {}", first.detail, second.detail) };
            self.text(&mut blocks, &detail, small, 2);
        }
        blocks.push(Block::Space(24.0 * scale));
        blocks.push(Block::Rule);
        blocks.push(Block::Space(20.0 * scale));
        self.text(&mut blocks, &second.sentence, small.max(26.0), 2);
        blocks
    }

    /// The names, each with a capital of at least [`NAME_CAPITAL`]; a single one as large as it fits.
    fn names(&self, words: &Words, width: f32) -> Vec<Block> {
        let least = self.name_em();
        let honorific = words.honorific();
        let tail_of = |em: f32| match honorific {
            "" => None,
            text => Some((text.to_owned(), em * 0.62)),
        };
        let tail_width = |em: f32| tail_of(em).map_or(0.0, |(text, small)| self.font.width(&text, small) + em * 0.22);
        if let [name] = words.names.as_slice() {
            for em in [least * 1.5, least * 1.3, least * 1.15, least] {
                if self.font.width(name, em) + tail_width(em) <= width {
                    return vec![line(name, em, 1.0, tail_of(em))];
                }
            }
            let condense = (width - tail_width(least)) / self.font.width(name, least).max(1.0);
            if condense >= 0.82 {
                return vec![line(name, least, condense, tail_of(least))];
            }
            return self.two_lines(name, least, width, tail_of(least), tail_width(least));
        }
        let last = words.names.len().saturating_sub(1);
        let mut blocks = Vec::new();
        for (n, name) in words.names.iter().enumerate() {
            let mut tail = tail_of(least);
            let mut taken = tail_width(least);
            if n == last && words.more > 0 {
                let (text, small) = tail.unwrap_or((String::new(), least * 0.7));
                let text = format!("{text}  +{}", words.more);
                taken = self.font.width(&text, small) + least * 0.22;
                tail = Some((text, small));
            }
            let room = width - taken;
            let name = self.font.cut(name, least, room / MIN_CONDENSE);
            let condense = (room / self.font.width(&name, least).max(1.0)).min(1.0);
            let mut block = line(&name, least, condense, tail);
            if let (Block::Text { leading, .. }, 3..) = (&mut block, words.names.len()) {
                *leading = 1.05;
            }
            blocks.push(block);
        }
        blocks
    }

    /// A long single name on two lines, narrowed if it must be, the honorific after the second.
    fn two_lines(&self, name: &str, em: f32, width: f32, tail: Option<(String, f32)>, tail_width: f32) -> Vec<Block> {
        for condense in [1.0, 0.9, 0.8, MIN_CONDENSE] {
            let lines = self.font.wrap(name, em, width / condense);
            if let [first, second] = lines.as_slice()
                && self.font.width(second, em) * condense + tail_width <= width
            {
                return vec![line(first, em, condense, None), line(second, em, condense, tail)];
            }
        }
        let mut lines = self.font.wrap(name, em, width / MIN_CONDENSE).into_iter();
        let first = lines.next().unwrap_or_default();
        let rest: Vec<String> = lines.collect();
        let second = self.font.cut(&rest.join(" "), em, (width - tail_width) / MIN_CONDENSE);
        vec![line(&first, em, MIN_CONDENSE, None), line(&second, em, MIN_CONDENSE, tail)]
    }

    /// A text at most `lines` lines long: smaller first, then broken, then cut.
    fn text(&self, blocks: &mut Vec<Block>, text: &str, em: f32, lines: usize) {
        if text.is_empty() {
            return;
        }
        for factor in [1.0, 0.94, 0.88, 0.82] {
            if self.font.width(text, em * factor) <= TEXT_WIDTH {
                blocks.push(line(text, em * factor, 1.0, None));
                return;
            }
        }
        let mut em = em * 0.86;
        let mut broken = self.font.wrap(text, em, TEXT_WIDTH);
        while broken.len() > lines && em > 26.0 {
            em *= 0.9;
            broken = self.font.wrap(text, em, TEXT_WIDTH);
        }
        if broken.len() > lines {
            let rest = broken.split_off(lines.saturating_sub(1)).concat();
            broken.push(self.font.cut(&rest, em, TEXT_WIDTH));
        }
        blocks.extend(broken.iter().map(|text| line(text, em, 1.0, None)));
    }

    fn lay(&mut self, blocks: &[Block], x: f32, top: f32) {
        let mut y = top;
        for block in blocks {
            let tall = block.height();
            let middle = y + tall / 2.0;
            match block {
                Block::Text { text, em, condense, tail, .. } => {
                    // Centred by the capitals, so that Latin and Japanese sit alike.
                    let baseline = middle + em * self.font.cap_ratio() / 2.0;
                    let end = self.write(text, x, baseline, *em, *condense);
                    if let Some((text, small)) = tail {
                        self.write(text, end + em * 0.22, baseline, *small, 1.0);
                    }
                }
                Block::Space(_) => {}
                Block::Rule => {
                    let (a, b) = ((x + 2.0, middle), (x + 118.0, middle));
                    let area = [x, y, x + 120.0, y + tall];
                    self.canvas.shape(area, self.pair.ink, |px, py| capsule((px, py), a, b, 2.0));
                }
                Block::Dots(entered) => self.dots(*entered, x, middle),
                Block::Step(label, other, done) => {
                    Pen::new(self.canvas, self.pair, (x + 26.0, middle), 48.0).step(*done);
                    let end = self.write(label, x + 76.0, middle + 15.0, 42.0, 1.0);
                    self.write(other, end.max(x + 270.0) + 24.0, middle + 15.0, 28.0, 1.0);
                }
                Block::Progress(number, total) => self.progress(*number, *total, x, middle),
            }
            y += tall;
        }
    }

    fn write(&mut self, text: &str, x: f32, y: f32, em: f32, condense: f32) -> f32 {
        let place = Place { x, y, em, condense };
        self.font.draw(self.canvas, text, self.pair, place)
    }

    /// Eight places, the most digits a PIN has; how many a PIN needs is nobody's business.
    fn dots(&mut self, entered: u8, x: f32, middle: f32) {
        for n in 0..8_u8 {
            let left = x + f32::from(n) * 58.0;
            let area = [left, middle - 19.0, left + 38.0, middle + 19.0];
            let (ink, filled) = (self.pair.ink, n < entered);
            self.canvas.shape(area, ink, |px, py| {
                let d = rounded((px, py), area, 19.0);
                if filled { d } else { (d + 2.0).abs() - 2.0 }
            });
        }
    }

    fn progress(&mut self, number: u32, total: u32, x: f32, middle: f32) {
        let area = [x, middle - 17.0, x + TEXT_WIDTH, middle + 17.0];
        let share = number.min(total) as f32 / total.max(1) as f32;
        let inner = [x + 8.0, middle - 9.0, x + 8.0 + (TEXT_WIDTH - 16.0) * share, middle + 9.0];
        let ink = self.pair.ink;
        self.canvas.shape(area, ink, |px, py| (rounded((px, py), area, 17.0) + 2.0).abs() - 2.0);
        if share > 0.0 {
            self.canvas.shape(inner, ink, |px, py| rounded((px, py), inner, 9.0));
        }
    }

    fn edge(&mut self, status: &Status, language: Language) {
        let (width, height) = (WIDTH as i32, HEIGHT as i32);
        let (top, bottom) = (TOP_BAR as i32, height - BOTTOM_BAR as i32);
        let state = self.pair;
        self.pair = palette::EDGE;
        let paper = self.pair.paper;
        self.canvas.fill(0, 0, width, top, paper);
        self.canvas.fill(0, bottom, width, height, paper);
        let clock = safe(&status.clock);
        let clock = self.font.cut(&clock, 32.0, 200.0);
        let clock_left = WIDTH - MARGIN - self.font.width(&clock, 32.0);
        self.write(&clock, clock_left, 38.0, 32.0, 1.0);
        let office = safe(&status.office);
        let office = self.font.cut(&office, 28.0, clock_left - MARGIN * 2.0);
        self.write(&office, MARGIN, 36.0, 28.0, 1.0);

        let devices = match language {
            Language::Japanese => ["ファクス", "ネットワーク", "読取装置"],
            Language::English => ["Fax machine", "Network", "Card reader"],
        };
        let well = [status.terminal_link, status.network_link, status.reader];
        let middle = HEIGHT - BOTTOM_BAR / 2.0;
        let mut x = MARGIN;
        for (device, well) in devices.into_iter().zip(well) {
            self.pair = if well { palette::EDGE } else { palette::EDGE_FAULT };
            Pen::new(self.canvas, self.pair, (x + 13.0, middle), 26.0).health(well);
            x = self.write(device, x + 38.0, middle + 9.0, 25.0, 1.0) + 48.0;
        }
        if let Some(fault) = &status.fault {
            self.pair = palette::BAND;
            let paper = self.pair.paper;
            self.canvas.fill(0, top, width, top + BAND as i32, paper);
            // On a red field the band would not end without its edge.
            let ink = self.pair.ink;
            self.canvas.fill(0, top + BAND as i32 - 2, width, top + BAND as i32, ink);
            let middle = TOP_BAR + BAND / 2.0;
            Pen::new(self.canvas, self.pair, (MARGIN + 18.0, middle), 40.0).alert();
            let (a, b) = match language {
                Language::Japanese => (&fault.japanese, &fault.english),
                Language::English => (&fault.english, &fault.japanese),
            };
            let text = format!("{}  {}  /  {}", safe(fault.code), safe(a), safe(b));
            let room = WIDTH - MARGIN * 2.0 - 56.0;
            let text = self.font.cut(&text, 29.0, room);
            self.write(&text, MARGIN + 56.0, middle + 10.0, 29.0, 1.0);
        }
        self.pair = state;
    }
}

fn line(text: &str, em: f32, condense: f32, tail: Option<(String, f32)>) -> Block {
    Block::Text { text: text.to_owned(), em, condense, tail, leading: 1.12 }
}

impl Block {
    fn height(&self) -> f32 {
        match self {
            Self::Text { em, leading, .. } => em * leading,
            Self::Space(tall) => *tall,
            Self::Rule => 4.0,
            Self::Dots(_) => 44.0,
            Self::Step(..) => 66.0,
            Self::Progress(..) => 36.0,
        }
    }
}

fn height(blocks: &[Block]) -> f32 {
    blocks.iter().map(Block::height).sum()
}
