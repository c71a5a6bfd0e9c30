//! Pictograms: a shape beside every colour, drawn from strokes and plates on a grid of 100 by 100 units.

use embedded_graphics::pixelcolor::Rgb888;

use super::ScreenKind;
use super::canvas::{Canvas, capsule, disc, rounded};
use super::palette::Pair;

/// Draws in units: (0, 0) is the middle, 50 the edge.
pub struct Pen<'a> {
    canvas: &'a mut Canvas,
    pair: Pair,
    centre: (f32, f32),
    unit: f32,
}

/// Stroke of the main shapes, in units.
const STROKE: f32 = 7.0;

impl<'a> Pen<'a> {
    /// A pen for a pictogram of `size` pixels around `centre`.
    pub fn new(canvas: &'a mut Canvas, pair: Pair, centre: (f32, f32), size: f32) -> Self {
        Self { canvas, pair, centre, unit: size / 100.0 }
    }

    fn at(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (self.centre.0 + x * self.unit, self.centre.1 + y * self.unit)
    }

    fn area(&self, [l, t, r, b]: [f32; 4]) -> [f32; 4] {
        let ((l, t), (r, b)) = (self.at((l, t)), self.at((r, b)));
        [l, t, r, b]
    }

    fn stroke_with(&mut self, colour: Rgb888, points: &[(f32, f32)], width: f32) {
        let r = width * self.unit / 2.0;
        for pair in points.windows(2) {
            let [a, b] = pair else { continue };
            let (a, b) = (self.at(*a), self.at(*b));
            let area = [a.0.min(b.0) - r, a.1.min(b.1) - r, a.0.max(b.0) + r, a.1.max(b.1) + r];
            self.canvas.shape(area, colour, |x, y| capsule((x, y), a, b, r));
        }
    }

    fn stroke(&mut self, points: &[(f32, f32)], width: f32) {
        self.stroke_with(self.pair.ink, points, width);
    }

    fn plate_with(&mut self, colour: Rgb888, area: [f32; 4], radius: f32) {
        let (area, radius) = (self.area(area), radius * self.unit);
        self.canvas.shape(area, colour, |x, y| rounded((x, y), area, radius));
    }

    fn plate(&mut self, area: [f32; 4], radius: f32) {
        self.plate_with(self.pair.ink, area, radius);
    }

    fn outline(&mut self, area: [f32; 4], radius: f32, width: f32) {
        let [l, t, r, b] = area;
        self.plate(area, radius);
        let inner = [l + width, t + width, r - width, b - width];
        self.plate_with(self.pair.paper, inner, (radius - width).max(1.0));
    }

    fn disc_with(&mut self, colour: Rgb888, centre: (f32, f32), r: f32) {
        let (c, r) = (self.at(centre), r * self.unit);
        let area = [c.0 - r, c.1 - r, c.0 + r, c.1 + r];
        self.canvas.shape(area, colour, |x, y| disc((x, y), c, r));
    }

    fn ring(&mut self, centre: (f32, f32), r: f32, width: f32) {
        self.disc_with(self.pair.ink, centre, r);
        self.disc_with(self.pair.paper, centre, r - width);
    }

    /// A badge over the lower right corner: a filled disc with a mark cut out of it.
    fn badge(&mut self, mark: impl FnOnce(&mut Pen<'_>)) {
        self.disc_with(self.pair.paper, (30.0, 27.0), 27.0);
        self.disc_with(self.pair.ink, (30.0, 27.0), 22.0);
        let centre = self.at((30.0, 27.0));
        let size = 100.0 * self.unit;
        let inverse = Pair { ink: self.pair.paper, paper: self.pair.ink };
        mark(&mut Pen::new(self.canvas, inverse, centre, size));
    }

    /// An envelope.
    pub fn envelope(&mut self) {
        self.outline([-48.0, -33.0, 48.0, 33.0], 7.0, STROKE);
        self.stroke(&[(-42.0, -26.0), (0.0, 7.0), (42.0, -26.0)], STROKE);
    }

    /// A card with its chip.
    pub fn card(&mut self) {
        self.outline([-48.0, -32.0, 48.0, 32.0], 9.0, STROKE);
        self.plate([-32.0, -14.0, -8.0, 5.0], 3.0);
        self.stroke(&[(-30.0, 17.0), (2.0, 17.0)], 5.0);
    }

    fn cross(&mut self, half: f32, width: f32) {
        self.stroke(&[(-half, -half), (half, half)], width);
        self.stroke(&[(-half, half), (half, -half)], width);
    }

    /// A tick.
    pub fn tick(&mut self, scale: f32, width: f32) {
        let p = |x: f32, y: f32| (x * scale, y * scale);
        self.stroke(&[p(-10.0, 0.5), p(-3.0, 8.0), p(10.0, -7.5)], width);
    }

    fn exclamation(&mut self) {
        self.stroke(&[(0.0, -11.0), (0.0, 2.5)], 6.0);
        self.disc_with(self.pair.ink, (0.0, 11.0), 3.6);
    }

    fn keypad(&mut self) {
        self.outline([-37.0, -48.0, 37.0, 48.0], 9.0, STROKE);
        for row in 0..4_u8 {
            for column in 0..3_u8 {
                if row == 3 && column != 1 {
                    continue;
                }
                let x = (f32::from(column) - 1.0) * 19.0;
                let y = (f32::from(row) - 1.5) * 20.0;
                self.disc_with(self.pair.ink, (x, y), 6.0);
            }
        }
    }

    fn padlock(&mut self) {
        self.outline([-24.0, -48.0, 24.0, 30.0], 24.0, STROKE + 1.0);
        self.plate([-38.0, -8.0, 38.0, 46.0], 7.0);
        self.disc_with(self.pair.paper, (0.0, 14.0), 6.5);
        self.stroke_with(self.pair.paper, &[(0.0, 14.0), (0.0, 28.0)], 6.0);
    }

    /// The fax machine: tray, body, and a button or the paper.
    fn machine(&mut self) {
        self.plate([-48.0, 6.0, 48.0, 46.0], 8.0);
        self.plate_with(self.pair.paper, [-36.0, 31.0, 12.0, 37.0], 3.0);
        self.disc_with(self.pair.paper, (31.0, 27.0), 9.0);
    }

    fn arrow(&mut self, x: f32, tail: f32, head: f32, width: f32) {
        let wing = 15.0_f32.copysign(tail - head);
        self.stroke(&[(x, tail), (x, head)], width);
        self.stroke(&[(x - 15.0, head + wing), (x, head), (x + 15.0, head + wing)], width);
    }

    fn press(&mut self) {
        self.machine();
        self.arrow(31.0, -46.0, -5.0, 8.0);
        self.stroke(&[(-32.0, 2.0), (-32.0, -22.0), (10.0, -22.0), (10.0, 2.0)], 5.0);
    }

    fn printing(&mut self) {
        self.outline([-30.0, -48.0, 22.0, 20.0], 4.0, 6.0);
        for (n, right) in [(0.0, 8.0), (1.0, 8.0), (2.0, -6.0)] {
            let y = -34.0 + n * 12.0;
            self.stroke(&[(-17.0, y), (right, y)], 5.0);
        }
        self.machine();
    }

    fn page(&mut self) {
        self.outline([-34.0, -48.0, 34.0, 48.0], 6.0, STROKE);
        for (n, right) in [(0.0, 18.0), (1.0, 18.0), (2.0, 18.0), (3.0, 2.0)] {
            let y = -27.0 + n * 16.0;
            self.stroke(&[(-18.0, y), (right, y)], 5.5);
        }
    }

    fn clock(&mut self) {
        self.ring((0.0, 0.0), 47.0, STROKE);
        self.stroke(&[(0.0, -27.0), (0.0, 2.0), (19.0, 13.0)], STROKE);
    }

    fn send(&mut self) {
        self.outline([-34.0, -10.0, 34.0, 48.0], 6.0, STROKE);
        self.stroke_with(self.pair.paper, &[(0.0, -18.0), (0.0, 0.0)], 30.0);
        self.arrow(0.0, 24.0, -44.0, 9.0);
    }

    fn warning(&mut self) {
        let corners = [(0.0, -40.0), (44.0, 38.0), (-44.0, 38.0), (0.0, -40.0)];
        self.stroke(&corners, STROKE + 1.0);
        self.stroke(&[(0.0, -12.0), (0.0, 10.0)], 8.0);
        self.disc_with(self.pair.ink, (0.0, 24.0), 5.0);
    }

    /// The pictogram of a state.
    pub fn draw(&mut self, kind: ScreenKind) {
        use ScreenKind as K;
        match kind {
            K::Idle => {
                self.ring((0.0, 0.0), 40.0, 4.0);
                self.disc_with(self.pair.ink, (0.0, 0.0), 7.0);
            }
            K::Arrived => self.envelope(),
            K::StillWaiting => {
                self.envelope();
                self.badge(|pen| pen.exclamation());
            }
            K::Pin => self.keypad(),
            K::Person => {
                for (radius, down) in [(46.0, 0.0), (31.0, 4.0), (16.0, 8.0)] {
                    self.ring((0.0, down), radius, STROKE);
                }
                self.disc_with(self.pair.ink, (0.0, 10.0), 4.0);
            }
            K::Checking => self.card(),
            K::WrongCard | K::CardInvalid => {
                self.card();
                self.badge(|pen| pen.cross(8.5, 6.5));
            }
            K::PinWrong => {
                self.keypad();
                self.badge(|pen| pen.cross(8.5, 6.5));
            }
            K::PinBlocked => self.padlock(),
            K::PressReceive => self.press(),
            K::Receiving => self.printing(),
            K::Done | K::Sent => {
                self.ring((0.0, 0.0), 47.0, STROKE);
                self.tick(2.3, 10.0);
            }
            K::CannotOpen => {
                self.page();
                self.badge(|pen| pen.cross(8.5, 6.5));
            }
            K::NotGenuine
            | K::CertificateChanged
            | K::DoneUnsigned
            | K::DoneLegacy
            | K::DoneUnbound
            | K::DoneReadable => self.warning(),
            K::Ready => {
                self.card();
                self.badge(|pen| pen.tick(1.1, 6.5));
            }
            K::Held => self.clock(),
            K::Sending => self.send(),
            K::SentUnsigned | K::SentLegacy | K::SentReadable => {
                self.send();
                self.badge(|pen| pen.tick(1.1, 6.5));
            }
            K::NotSent => {
                self.send();
                self.badge(|pen| pen.cross(8.5, 6.5));
            }
            K::Delivered => {
                self.envelope();
                self.badge(|pen| pen.tick(1.1, 6.5));
            }
            K::Diagnosis => {
                self.ring((-10.0, -10.0), 34.0, STROKE + 1.0);
                self.stroke(&[(16.0, 16.0), (42.0, 42.0)], 12.0);
            }
            K::Overdue => {
                self.clock();
                self.badge(|pen| pen.exclamation());
            }
        }
    }

    /// A link or a device at the edge: a filled disc with a tick, or an open ring with a cross.
    pub fn health(&mut self, well: bool) {
        self.disc_with(self.pair.ink, (0.0, 0.0), 48.0);
        if well {
            self.pair = Pair { ink: self.pair.paper, paper: self.pair.ink };
            self.tick(2.4, 13.0);
        } else {
            self.disc_with(self.pair.paper, (0.0, 0.0), 37.0);
            self.cross(15.0, 12.0);
        }
    }

    /// One of the ticks of a check: done, or still open.
    pub fn step(&mut self, done: bool) {
        if done {
            self.health(true);
        } else {
            self.ring((0.0, 0.0), 46.0, 9.0);
        }
    }

    /// Something that waits: an open ring with two bars.
    pub fn waiting(&mut self) {
        self.ring((0.0, 0.0), 46.0, 9.0);
        self.stroke(&[(-11.0, -15.0), (-11.0, 15.0)], 10.0);
        self.stroke(&[(11.0, -15.0), (11.0, 15.0)], 10.0);
    }

    /// Something that is not known: an open ring with a dash.
    pub fn open(&mut self) {
        self.ring((0.0, 0.0), 46.0, 9.0);
        self.stroke(&[(-15.0, 0.0), (15.0, 0.0)], 10.0);
    }

    /// The triangle before the fault band.
    pub fn alert(&mut self) {
        self.warning();
    }
}
