//! A modem on a serial port (V.24 circuits over `tokio-serial`): DTR, RTS/CTS flow control, and PTYs that have neither.

use std::path::Path;

use tokio_serial::{FlowControl, SerialPort as _, SerialPortBuilderExt as _, SerialStream};

use super::class1::Class1;
use super::error::EndReason;
use super::port::Port;

/// The usual speed between host and modem: well above 14 400 bit/s.
pub const USUAL_SPEED: u32 = 115_200;

impl Port for SerialStream {
    fn set_data_terminal_ready(&mut self, on: bool) {
        if let Err(error) = self.write_data_terminal_ready(on) {
            // A PTY says ENOTTY.
            tracing::debug!(%error, "no DTR on this port");
        }
    }

    fn set_software_flow(&mut self, on: bool) {
        let wanted = if on { FlowControl::Software } else { FlowControl::None };
        if let Err(error) = self.set_flow_control(wanted) {
            tracing::debug!(%error, "no software flow control on this port");
        }
    }
}

/// Opens a modem's port, `speed` in bit/s: at once, without asking the modem anything. Needs a tokio runtime.
pub fn open(path: &Path, speed: u32) -> Result<Class1, EndReason> {
    let failed = |error: tokio_serial::Error| EndReason::Port(error.into());
    let name = path.to_string_lossy();
    let mut port = tokio_serial::new(name, speed).open_native_async().map_err(failed)?;
    if let Err(error) = port.set_flow_control(FlowControl::Hardware) {
        tracing::debug!(%error, "no hardware flow control on this port");
    }
    port.set_data_terminal_ready(true);
    if let Err(error) = port.write_request_to_send(true) {
        tracing::debug!(%error, "no RTS on this port");
    }
    Ok(Class1::new(port))
}
