//! Where tensors live.

use candle_core::Device;
use serde::{Deserialize, Serialize};

/// `device` of the config.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// CUDA where this binary was built with the `cuda` feature and a GPU answers, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda,
}

/// The chosen device cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "device = \"cuda\" was asked for, but no CUDA device could be opened: {0}. Build with `--features cuda` on a machine with a GPU, or set `device = \"cpu\"`"
)]
pub struct NoCuda(#[source] candle_core::Error);

impl DeviceChoice {
    /// `auto`, `cpu` or `cuda`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda),
            _ => None,
        }
    }

    pub fn open(self) -> Result<Device, NoCuda> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda => Device::new_cuda(0).map_err(NoCuda),
            Self::Auto if candle_core::utils::cuda_is_available() => {
                Ok(Device::new_cuda(0).unwrap_or(Device::Cpu))
            }
            Self::Auto => Ok(Device::Cpu),
        }
    }
}
