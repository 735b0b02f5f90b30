//! A small generator of random numbers for simulated markets: seeded, and the same everywhere.

/// SplitMix64. Not for secrets. Equal seeds give equal numbers on every platform.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// Returns the generator of one of many independent streams of a seed.
    pub fn stream(seed: u64, number: u64) -> Random {
        let mut of_streams = Random::new(seed ^ number.wrapping_mul(GOLDEN));
        Random::new(of_streams.next_u64())
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..bound`; 0 when `bound` is 0. The bias of at most `bound / 2^64`
    /// does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Returns a number in `low..=high`; `low` when `high` lies under it.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.wrapping_sub(low) as u64;
        if high < low || width == u64::MAX {
            return low;
        }
        low.wrapping_add(self.below(width + 1) as i64)
    }

    /// Returns a number round 0 with this standard deviation, shaped much like a normal one but
    /// never beyond 3.47 deviations: the sum of four uniform numbers of 16 bits, in integers, so
    /// that it is the same on every platform. `deviation` is taken up to 2^40.
    pub fn bell(&mut self, deviation: i64) -> i64 {
        let bits = self.next_u64();
        let sum = (0..4).fold(0, |sum, part| sum + ((bits >> (16 * part)) & 0xffff) as i64);
        // The mean of the sum is 131,070 and its standard deviation 37,837.
        let deviation = deviation.clamp(0, 1 << 40);
        (sum - 131_070) * deviation / 37_837
    }

    /// Returns true `of` times in `all`.
    pub fn chance(&mut self, of: u64, all: u64) -> bool {
        self.below(all) < of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_published_numbers() {
        // The reference implementation's first numbers for the seed 1234567.
        let mut random = Random::new(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut random = Random::new(1);
        let mut seen = [0_u32; 5];
        for _ in 0..1_000 {
            seen[(random.between(-2, 2) + 2) as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.between(3, 2), 3);
        let bells: Vec<i64> = (0..10_000).map(|_| random.bell(1_000)).collect();
        let mean = bells.iter().sum::<i64>() / 10_000;
        let variance = bells.iter().map(|bell| bell * bell).sum::<i64>() / 10_000;
        assert!(mean.abs() < 40, "{mean}");
        assert!((950_000..1_050_000).contains(&variance), "{variance}");
        assert!(bells.iter().all(|bell| bell.abs() <= 3_465));
        let mut other = Random::stream(1, 1);
        assert_ne!(other.next_u64(), Random::stream(1, 2).next_u64());
    }
}
