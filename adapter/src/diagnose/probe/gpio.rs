//! Lines and who holds them: from the character device, and where that is not there from the kernel's own list.

use std::io;

use gpiocdev::chip::Chip;

use super::super::facts::{ChipFacts, ConfigurationFacts, GpioFacts, LineFacts, LineWish};
use super::files::Root;

/// Labels of the chips behind a Raspberry Pi's 40-pin header, the newest board first.
const HEADERS: [&str; 3] = ["pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835"];
/// The kernel's list of lines, if debugfs is mounted and may be read.
const LIST: &str = "/sys/kernel/debug/gpio";

pub(super) fn gpio(root: &Root, configuration: &ConfigurationFacts) -> GpioFacts {
    if configuration.lines.is_empty() {
        return GpioFacts::default();
    }
    let wanted = configuration.chip.as_deref();
    if root.is_real() {
        match gpiocdev::chip::chips() {
            Ok(paths) if !paths.is_empty() => return device(&paths, wanted, &configuration.lines),
            _ => {}
        }
    }
    match root.text(LIST) {
        Some(list) => listed(&list, wanted, &configuration.lines),
        None => GpioFacts { problem: Some("there is no /dev/gpiochip".to_owned()), ..GpioFacts::default() },
    }
}

fn chosen(chips: &[ChipFacts], wanted: Option<&str>) -> Option<usize> {
    match wanted {
        Some(wanted) => chips.iter().position(|chip| chip.label == wanted || chip.path == wanted),
        None => HEADERS.iter().find_map(|label| chips.iter().position(|chip| chip.label == *label)),
    }
}

fn device(paths: &[std::path::PathBuf], wanted: Option<&str>, wishes: &[LineWish]) -> GpioFacts {
    let mut facts = GpioFacts::default();
    let mut open = Vec::new();
    for path in paths {
        match Chip::from_path(path).and_then(|chip| chip.info().map(|info| (chip, info))) {
            Ok((chip, info)) => {
                let path = path.display().to_string();
                facts.chips.push(ChipFacts { path, label: info.label, lines: info.num_lines });
                open.push(chip);
            }
            Err(error) => {
                facts.not_allowed |= matches!(&error, gpiocdev::Error::Os(code) if is_permission(code.0));
                facts.problem = Some(format!("{}: {error}", path.display()));
            }
        }
    }
    // One chip that may be used is enough, if it is the right one.
    let Some((place, chip)) = chosen(&facts.chips, wanted).and_then(|at| Some((facts.chips.get(at)?, open.get(at)?)))
    else {
        return facts;
    };
    facts.not_allowed = false;
    facts.chosen = Some(place.label.clone());
    facts.lines = wishes
        .iter()
        .map(|wish| {
            let info = chip.line_info(wish.line).ok();
            let holder = info.as_ref().map(|info| info.consumer.clone()).filter(|holder| !holder.is_empty());
            LineFacts {
                role: wish.role.clone(),
                line: wish.line,
                exists: info.is_some(),
                held: info.is_some_and(|info| info.used),
                holder,
            }
        })
        .collect();
    facts
}

fn is_permission(code: i32) -> bool {
    io::Error::from_raw_os_error(code).kind() == io::ErrorKind::PermissionDenied
}

/// The kernel's list: `gpiochip0: GPIOs 512-565, parent: ..., pinctrl-bcm2835:`, in newer kernels `gpiochip0: 54 GPIOs, ...`,
/// and beneath it a line `gpio-529 (GPIO17 |led0 ) out lo` for each that has a name or a holder.
fn listed(list: &str, wanted: Option<&str>, wishes: &[LineWish]) -> GpioFacts {
    let mut chips: Vec<(ChipFacts, u32)> = Vec::new();
    // Which of the chips, the number in the list, and who.
    let mut held: Vec<(usize, u32, String)> = Vec::new();
    for line in list.lines() {
        if let Some((name, rest)) = line.split_once(": ").filter(|(name, _)| name.starts_with("gpiochip")) {
            let mut parts = rest.trim_end_matches(':').split(", ");
            let (first, lines) = parts.next().and_then(range).unwrap_or_default();
            let label = parts.filter(|part| *part != "can sleep").last().unwrap_or_default();
            chips.push((ChipFacts { path: format!("/dev/{name}"), label: label.to_owned(), lines }, first));
        } else if let Some(rest) = line.trim_start().strip_prefix("gpio-") {
            let number = rest.split_whitespace().next().and_then(|number| number.parse().ok());
            let holder = rest.split_once('|').and_then(|(_, rest)| rest.split_once(')')).map(|(name, _)| name.trim());
            if let (Some(number), Some(holder)) = (number, holder.filter(|holder| !holder.is_empty())) {
                held.push((chips.len().saturating_sub(1), number, holder.to_owned()));
            }
        }
    }
    let (chips, firsts): (Vec<ChipFacts>, Vec<u32>) = chips.into_iter().unzip();
    let mut facts = GpioFacts { chips, ..GpioFacts::default() };
    let at = chosen(&facts.chips, wanted);
    let Some((at, chip, first)) = at.and_then(|at| Some((at, facts.chips.get(at)?, *firsts.get(at)?))) else {
        return facts;
    };
    facts.chosen = Some(chip.label.clone());
    facts.lines = wishes
        .iter()
        .map(|wish| {
            let number = first.checked_add(wish.line);
            let holder = held.iter().find(|(chip, held, _)| *chip == at && Some(*held) == number);
            LineFacts {
                role: wish.role.clone(),
                line: wish.line,
                exists: wish.line < chip.lines,
                held: holder.is_some(),
                holder: holder.map(|(_, _, name)| name.clone()),
            }
        })
        .collect();
    facts
}

/// The first number and how many: of "GPIOs 512-565" or "54 GPIOs".
fn range(text: &str) -> Option<(u32, u32)> {
    if let Some(count) = text.strip_suffix(" GPIOs") {
        return Some((0, count.parse().ok()?));
    }
    let (first, last) = text.strip_prefix("GPIOs ")?.split_once('-')?;
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    Some((first, last.checked_sub(first)?.checked_add(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let list = "gpiochip0: GPIOs 512-565, parent: platform/3f200000.gpio, pinctrl-bcm2835:\n\
                    \x20gpio-512 (ID_SDA              )\n\
                    \x20gpio-529 (GPIO17              |led0                ) out lo \n\n\
                    gpiochip1: GPIOs 566-573, parent: platform/soc:firmware:gpio, raspberrypi-exp-gpio, can sleep:\n";
        let wish = |role: &str, line| LineWish { role: role.into(), line };
        let facts = listed(list, None, &[wish("lamp", 17), wish("buzzer", 18), wish("button", 99)]);
        assert_eq!(facts.chosen.as_deref(), Some("pinctrl-bcm2835"));
        let seen: Vec<_> = facts.lines.iter().map(|line| (line.exists, line.held, line.holder.as_deref())).collect();
        assert_eq!(seen, [(true, true, Some("led0")), (true, false, None), (false, false, None)]);
        let newer = "gpiochip0: 54 GPIOs, parent: platform/fe200000.gpio, pinctrl-bcm2711:\n gpio-17 (GPIO17 |lamp )\n\n\
                     gpiochip1: 8 GPIOs, parent: platform/soc:firmware:gpio, raspberrypi-exp-gpio, can sleep:\n gpio-18 (X |y )\n";
        let facts = listed(newer, None, &[wish("lamp", 17), wish("buzzer", 18)]);
        assert_eq!(facts.lines.iter().map(|line| line.held).collect::<Vec<_>>(), [true, false]);
        assert_eq!(facts.chips.last().map(|chip| (chip.label.as_str(), chip.lines)), Some(("raspberrypi-exp-gpio", 8)));
        assert_eq!(listed(list, Some("pinctrl-rp1"), &[wish("lamp", 17)]).chosen, None);
        assert_eq!(listed("nonsense: - |", None, &[wish("lamp", 17)]).chips, []);
    }
}
