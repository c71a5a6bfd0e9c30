//! Size and layout of a frame buffer, as `FBIOGET_VSCREENINFO` and `FBIOGET_FSCREENINFO` tell them (`linux/fb.h`).
#![allow(unsafe_code)] // Two ioctl(2) calls: the kernel fills in structures whose layout is declared here.

use std::fs::File;

use rustix::ioctl::{Getter, ioctl};

use crate::display::pixels::{Channel, PixelFormat};

const FBIOGET_VSCREENINFO: rustix::ioctl::Opcode = 0x4600;
const FBIOGET_FSCREENINFO: rustix::ioctl::Opcode = 0x4602;
const FB_TYPE_PACKED_PIXELS: u32 = 0;
const FB_VISUAL_TRUECOLOR: u32 = 2;
const FB_VISUAL_DIRECTCOLOR: u32 = 4;

/// `struct fb_bitfield`.
#[allow(dead_code)] // The kernel's layout, not only what is read of it; so below.
#[repr(C)]
struct Bitfield {
    offset: u32,
    length: u32,
    msb_right: u32,
}

/// `struct fb_var_screeninfo`.
#[allow(dead_code)]
#[repr(C)]
struct Variable {
    xres: u32,
    yres: u32,
    xres_virtual: u32,
    yres_virtual: u32,
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    grayscale: u32,
    red: Bitfield,
    green: Bitfield,
    blue: Bitfield,
    transp: Bitfield,
    /// `nonstd` to `colorspace`: nothing that is needed.
    timing: [u32; 16],
    reserved: [u32; 4],
}

/// `struct fb_fix_screeninfo`.
#[allow(dead_code)]
#[repr(C)]
struct Fixed {
    id: [u8; 16],
    smem_start: usize,
    smem_len: u32,
    kind: u32,
    type_aux: u32,
    visual: u32,
    xpanstep: u16,
    ypanstep: u16,
    ywrapstep: u16,
    line_length: u32,
    mmio_start: usize,
    mmio_len: u32,
    accel: u32,
    capabilities: u16,
    reserved: [u16; 2],
}

// As in the kernel's header, for 64 and for 32 bits.
const _: () = assert!(size_of::<Variable>() == 160);
const _: () = assert!(size_of::<Fixed>() == if size_of::<usize>() == 8 { 80 } else { 68 });

/// What is needed to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScreenInfo {
    /// Pixels in a row.
    pub(super) width: u32,
    /// Rows.
    pub(super) height: u32,
    /// From one row to the next.
    pub(super) row_octets: usize,
    /// Left and top of what is seen of a larger memory.
    offset: (u32, u32),
    bits: u32,
    channels: [Channel; 3],
    /// Packed pixels in true colour.
    direct: bool,
}

impl ScreenInfo {
    /// How a pixel is written; `None`: this screen has palettes or planes.
    pub(super) fn format(&self) -> Option<PixelFormat> {
        let format = PixelFormat::new(self.bits, self.channels).filter(|_| self.direct)?;
        (self.row_octets >= self.width as usize * format.octets()).then_some(format)
    }

    /// Where the first pixel that is seen lies.
    pub(super) fn first_octet(&self) -> u64 {
        let (left, top) = self.offset;
        u64::from(top) * self.row_octets as u64 + u64::from(left) * u64::from(self.bits / 8)
    }
}

/// Asks the kernel.
pub(super) fn screen_info(file: &File) -> std::io::Result<ScreenInfo> {
    // SAFETY: both calls are "get" calls of the frame buffer interface, each fills in one structure of the layout that is
    // declared above, whole, and every bit pattern is a value of it. A device that is no frame buffer answers ENOTTY.
    let (variable, fixed) = unsafe {
        (
            ioctl(file, Getter::<FBIOGET_VSCREENINFO, Variable>::new())?,
            ioctl(file, Getter::<FBIOGET_FSCREENINFO, Fixed>::new())?,
        )
    };
    let channel = |field: &Bitfield| Channel { offset: field.offset, length: field.length };
    Ok(ScreenInfo {
        width: variable.xres,
        height: variable.yres,
        row_octets: fixed.line_length as usize,
        offset: (variable.xoffset, variable.yoffset),
        bits: variable.bits_per_pixel,
        channels: [channel(&variable.red), channel(&variable.green), channel(&variable.blue)],
        direct: fixed.kind == FB_TYPE_PACKED_PIXELS
            && matches!(fixed.visual, FB_VISUAL_TRUECOLOR | FB_VISUAL_DIRECTCOLOR),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn info() -> ScreenInfo {
        ScreenInfo {
            width: 800,
            height: 480,
            row_octets: 1664,
            offset: (0, 480),
            bits: 16,
            channels: [(11, 5), (5, 6), (0, 5)].map(|(offset, length)| Channel { offset, length }),
            direct: true,
        }
    }

    #[test]
    fn formats_and_offsets() {
        assert_eq!(info().format(), Some(PixelFormat::RGB565));
        assert_eq!(info().first_octet(), 480 * 1664);
        assert_eq!(ScreenInfo { direct: false, ..info() }.format(), None);
        assert_eq!(ScreenInfo { row_octets: 1599, ..info() }.format(), None);
        assert_eq!(ScreenInfo { bits: 8, ..info() }.format(), None);
    }
}
