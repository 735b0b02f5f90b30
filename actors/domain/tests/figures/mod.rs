//! Statistics of prices, the same for the simulated market and for real data.

/// Returns the returns between neighbours, in basis points. Prices are above zero.
pub fn returns(prices: &[f64]) -> Vec<f64> {
    let pairs = prices.windows(2);
    pairs.map(|p| (p[1] - p[0]) / p[0] * 10_000.0).collect()
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub fn deviation(values: &[f64]) -> f64 {
    let middle = mean(values);
    let squares: Vec<f64> = values.iter().map(|v| (v - middle).powi(2)).collect();
    mean(&squares).sqrt()
}

/// Returns the fourth moment over the squared variance: 3 for a normal distribution.
pub fn kurtosis(values: &[f64]) -> f64 {
    let middle = mean(values);
    let fourth: Vec<f64> = values.iter().map(|v| (v - middle).powi(4)).collect();
    mean(&fourth) / deviation(values).powi(4)
}

/// Returns the correlation of two series of one length.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let (of_a, of_b) = (mean(a), mean(b));
    let products: Vec<f64> = a
        .iter()
        .zip(b)
        .map(|(x, y)| (x - of_a) * (y - of_b))
        .collect();
    mean(&products) / (deviation(a) * deviation(b))
}

pub fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    correlation(&values[..values.len() - lag], &values[lag..])
}

/// Returns the mean autocorrelation over lags, both ends included.
pub fn mean_autocorrelation(values: &[f64], from: usize, to: usize) -> f64 {
    let lags: Vec<f64> = (from..=to)
        .map(|lag| autocorrelation(values, lag))
        .collect();
    mean(&lags)
}

pub fn absolute(values: &[f64]) -> Vec<f64> {
    values.iter().map(|v| v.abs()).collect()
}

/// Returns the value in the middle. There is at least one.
pub fn median(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn the_statistics_give_known_answers() {
    assert_eq!(returns(&[100.0, 101.0]), [100.0]);
    assert!((deviation(&[1.0, 3.0]) - 1.0).abs() < 1e-12);
    assert!((kurtosis(&[-1.0, 1.0]) - 1.0).abs() < 1e-12);
    assert!((kurtosis(&[-1.0, 0.0, 0.0, 0.0, 0.0, 1.0]) - 3.0).abs() < 1e-12);
    assert!((correlation(&[1.0, 2.0, 3.0], &[-2.0, -4.0, -6.0]) + 1.0).abs() < 1e-12);
    assert!((autocorrelation(&[1.0, -1.0, 1.0, -1.0], 2) - 1.0).abs() < 1e-12);
    assert_eq!(median(&mut [3, 1, 2]), 2);
}
