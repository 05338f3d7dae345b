//! Thirty-two lanes of f32, as the processor at hand has them, and the choice among them.
//!
//! The kernels are written once over [`Wide`] and compiled three times. A lane is never summed with another one, and
//! AVX2 and AVX-512 both fuse multiply and add, so the two give the same bits; the portable fallback rounds twice.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

/// Lanes in a [`Wide`], and the width of a panel of weights or activations.
pub const LANES: usize = 32;

pub type Lanes = [f32; LANES];

pub trait Wide: Copy {
    fn zero() -> Self;
    fn load(from: &Lanes) -> Self;
    fn store(self, to: &mut Lanes);
    /// `self + scale * other`, lane by lane.
    fn add_scaled(self, scale: f32, other: Self) -> Self;
}

impl Wide for Lanes {
    #[inline(always)]
    fn zero() -> Self {
        [0.0; LANES]
    }

    #[inline(always)]
    fn load(from: &Lanes) -> Self {
        *from
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes) {
        *to = self;
    }

    #[inline(always)]
    fn add_scaled(mut self, scale: f32, other: Self) -> Self {
        for (sum, x) in self.iter_mut().zip(other) {
            *sum += scale * x;
        }
        self
    }
}

/// Two 16-lane registers. Constructed only inside a function that has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx512([__m512; 2]);

#[cfg(target_arch = "x86_64")]
impl Wide for Avx512 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: `Isa::detect` found AVX-512F before any caller of this type could run.
        Self([unsafe { _mm512_setzero_ps() }; 2])
    }

    #[inline(always)]
    fn load(from: &Lanes) -> Self {
        // SAFETY: as in `zero`; both unaligned loads of 16 stay within the 32 floats.
        unsafe { Self([_mm512_loadu_ps(from.as_ptr()), _mm512_loadu_ps(from.as_ptr().add(16))]) }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes) {
        // SAFETY: as in `load`.
        unsafe {
            _mm512_storeu_ps(to.as_mut_ptr(), self.0[0]);
            _mm512_storeu_ps(to.as_mut_ptr().add(16), self.0[1]);
        }
    }

    #[inline(always)]
    fn add_scaled(self, scale: f32, other: Self) -> Self {
        // SAFETY: as in `zero`.
        unsafe {
            let scale = _mm512_set1_ps(scale);
            Self([
                _mm512_fmadd_ps(scale, other.0[0], self.0[0]),
                _mm512_fmadd_ps(scale, other.0[1], self.0[1]),
            ])
        }
    }
}

/// Four 8-lane registers. Constructed only inside a function that has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub struct Avx2([__m256; 4]);

#[cfg(target_arch = "x86_64")]
impl Wide for Avx2 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: `Isa::detect` found AVX2 and FMA before any caller of this type could run.
        Self([unsafe { _mm256_setzero_ps() }; 4])
    }

    #[inline(always)]
    fn load(from: &Lanes) -> Self {
        // SAFETY: as in `zero`; the four unaligned loads of 8 stay within the 32 floats.
        unsafe {
            let at = from.as_ptr();
            Self([
                _mm256_loadu_ps(at),
                _mm256_loadu_ps(at.add(8)),
                _mm256_loadu_ps(at.add(16)),
                _mm256_loadu_ps(at.add(24)),
            ])
        }
    }

    #[inline(always)]
    fn store(self, to: &mut Lanes) {
        for (i, register) in self.0.into_iter().enumerate() {
            // SAFETY: as in `load`.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr().add(8 * i), register) };
        }
    }

    #[inline(always)]
    fn add_scaled(self, scale: f32, other: Self) -> Self {
        // SAFETY: as in `zero`.
        unsafe {
            let scale = _mm256_set1_ps(scale);
            Self([
                _mm256_fmadd_ps(scale, other.0[0], self.0[0]),
                _mm256_fmadd_ps(scale, other.0[1], self.0[1]),
                _mm256_fmadd_ps(scale, other.0[2], self.0[2]),
                _mm256_fmadd_ps(scale, other.0[3], self.0[3]),
            ])
        }
    }
}

/// What a kernel is compiled for. [`Isa::detect`] is the only way to a vector variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Runs `body` compiled for this instruction set, as far as the compiler inlines it.
    #[inline(always)]
    pub fn run<T>(self, body: impl FnOnce() -> T) -> T {
        match self {
            // SAFETY: `Isa::detect` gives a variant only where the processor has its features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { run_avx512(body) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { run_avx2(body) },
            Self::Portable => body(),
        }
    }

    /// All that this processor runs, fastest first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                found.push(Self::Avx512);
            }
            if avx2 {
                found.push(Self::Avx2);
            }
        }
        found.push(Self::Portable);
        found
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn run_avx512<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<T>(body: impl FnOnce() -> T) -> T {
    body()
}
