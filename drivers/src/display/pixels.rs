//! Pixels as a screen's memory wants them: octets in a pixel, and where in them red, green and blue lie.

/// Where one colour lies in a pixel, counted from the lowest bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Its lowest bit.
    pub offset: u32,
    /// How many bits.
    pub length: u32,
}

/// A pixel of two, three or four octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelFormat {
    octets: usize,
    channels: [Channel; 3],
}

const fn channel(offset: u32, length: u32) -> Channel {
    Channel { offset, length }
}

impl PixelFormat {
    /// Four octets: unused, red, green, blue from the top.
    pub const XRGB8888: Self = Self { octets: 4, channels: [channel(16, 8), channel(8, 8), channel(0, 8)] };
    /// Two octets: five bits of red, six of green, five of blue from the top.
    pub const RGB565: Self = Self { octets: 2, channels: [channel(11, 5), channel(5, 6), channel(0, 5)] };

    /// Red, green and blue in `bits` bits; `None` if there is no such pixel here.
    pub fn new(bits: u32, channels: [Channel; 3]) -> Option<Self> {
        let fits =
            |c: &Channel| (1..=16).contains(&c.length) && c.offset.checked_add(c.length).is_some_and(|end| end <= bits);
        let octets = match bits {
            16 => 2,
            24 => 3,
            32 => 4,
            _ => return None,
        };
        channels.iter().all(fits).then_some(Self { octets, channels })
    }

    /// Octets in a pixel.
    pub fn octets(self) -> usize {
        self.octets
    }

    /// Appends a row of pixels of three octets each.
    pub fn put_row(self, row: &[u8], to: &mut Vec<u8>) {
        let (pixels, _) = row.as_chunks::<3>();
        if self == Self::XRGB8888 {
            // The usual one is only a matter of order.
            to.extend(pixels.iter().flat_map(|[r, g, b]| u32::from_be_bytes([0, *r, *g, *b]).to_ne_bytes()));
        } else {
            pixels.iter().for_each(|rgb| self.put(*rgb, to));
        }
    }

    /// Appends a pixel in the machine's order of octets.
    pub fn put(self, rgb: [u8; 3], to: &mut Vec<u8>) {
        let pixel = rgb.iter().zip(self.channels).fold(0_u32, |pixel, (value, channel)| {
            let most = (1_u32 << channel.length) - 1;
            pixel | (((u32::from(*value) * most + 127) / 255) << channel.offset)
        });
        match self.octets {
            2 => to.extend((pixel as u16).to_ne_bytes()),
            3 if cfg!(target_endian = "big") => to.extend(pixel.to_be_bytes().iter().skip(1)),
            3 => to.extend(pixel.to_le_bytes().iter().take(3)),
            _ => to.extend(pixel.to_ne_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn one(format: PixelFormat, rgb: [u8; 3]) -> Vec<u8> {
        let mut octets = Vec::new();
        format.put(rgb, &mut octets);
        octets
    }

    #[test]
    fn the_usual_formats() {
        assert_eq!(one(PixelFormat::XRGB8888, [0x12, 0x34, 0x56]), 0x0012_3456_u32.to_ne_bytes());
        assert_eq!(one(PixelFormat::RGB565, [255, 0, 0]), 0xf800_u16.to_ne_bytes());
        assert_eq!(one(PixelFormat::RGB565, [0, 255, 0]), 0x07e0_u16.to_ne_bytes());
        assert_eq!(one(PixelFormat::RGB565, [255, 255, 255]), 0xffff_u16.to_ne_bytes());
        let bgr = PixelFormat::new(24, [channel(0, 8), channel(8, 8), channel(16, 8)]).unwrap();
        assert_eq!((bgr.octets(), one(bgr, [1, 2, 3])), (3, vec![1, 2, 3]));
        let deep = PixelFormat::new(32, [channel(20, 10), channel(10, 10), channel(0, 10)]).unwrap();
        assert_eq!(one(deep, [255, 0, 255]), 0x3ff0_03ff_u32.to_ne_bytes());
    }

    #[test]
    fn a_row_is_its_pixels() {
        let row: Vec<u8> = (0..=254).collect();
        for format in [PixelFormat::XRGB8888, PixelFormat::RGB565] {
            let (mut whole, mut single) = (Vec::new(), Vec::new());
            format.put_row(&row, &mut whole);
            row.chunks_exact(3).for_each(|pixel| format.put(pixel.try_into().unwrap(), &mut single));
            assert_eq!(whole, single);
        }
    }

    #[test]
    fn what_is_no_pixel() {
        assert_eq!(PixelFormat::new(8, [channel(0, 2); 3]), None);
        assert_eq!(PixelFormat::new(16, [channel(0, 0); 3]), None);
        assert_eq!(PixelFormat::new(16, [channel(12, 5); 3]), None);
        assert_eq!(PixelFormat::new(32, [channel(u32::MAX, 8); 3]), None);
    }

    proptest! {
        /// Any description either is refused or gives pixels of its size, black as zeroes.
        #[test]
        fn any_description(bits in 0_u32..40, fields in prop::array::uniform6(0_u32..40), rgb: [u8; 3]) {
            let [a, b, c, d, e, f] = fields;
            if let Some(format) = PixelFormat::new(bits, [channel(a, b), channel(c, d), channel(e, f)]) {
                prop_assert_eq!(one(format, rgb).len() * 8, bits as usize);
                prop_assert!(one(format, [0; 3]).iter().all(|octet| *octet == 0));
            }
        }
    }
}
