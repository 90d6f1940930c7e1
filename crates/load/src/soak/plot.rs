//! Memory and times over a run, as a picture.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use serde_json::{Value, json};

use crate::mixed::interval::Interval;

/// Width and height of the picture, in pixels.
const SIZE: (u32, u32) = (1_000, 700);
/// Most points that are drawn of a line: more than pixels are not seen.
const POINTS: usize = 2_000;
const MIB: f64 = (1 << 20) as f64;

/// One moment of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Since the start.
    pub minutes: f64,
    /// Resident memory of the server, in MiB.
    pub resident: f64,
    /// The anonymous part of it.
    pub anonymous: f64,
    /// From when a message was due to its receipt, in milliseconds: the median, and 99 of 100.
    pub receipt: (f64, f64),
    /// From when a page was due until it was there, 99 of 100.
    pub page: f64,
}

impl Sample {
    /// What was measured since the last one.
    pub fn new(minutes: f64, resident: u64, anonymous: u64, interval: &Interval) -> Sample {
        let ms = |times: &hdrhistogram::Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64 / 1000.0;
        Sample {
            minutes,
            resident: resident as f64 / MIB,
            anonymous: anonymous as f64 / MIB,
            receipt: (ms(&interval.receipts, 0.5), ms(&interval.receipts, 0.99)),
            page: ms(&interval.reads, 0.99),
        }
    }
}

/// The server's memory at the start, after each quarter, and at its most.
pub fn memory_figures(samples: &[Sample]) -> Value {
    let at = |quarter: usize| samples.get((samples.len().saturating_sub(1)) * quarter / 4).map(|sample| sample.resident);
    let most = samples.iter().map(|sample| sample.resident).fold(0.0, f64::max);
    json!({ "first": at(0), "quarter": at(1), "half": at(2), "three quarters": at(3), "last": at(4), "most": most })
}

/// A line of the picture: its points, few enough to draw. Of those that fall together the highest is kept, so that no peak is lost.
fn line(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> Vec<(f64, f64)> {
    let together = samples.len().div_ceil(POINTS).max(1);
    let highest = |part: &[Sample]| part.iter().map(|sample| (sample.minutes, value(sample))).max_by(|a, b| a.1.total_cmp(&b.1));
    samples.chunks(together).filter_map(highest).collect()
}

/// Where an axis ends that has to show all of `lines`; above 0 also when nothing is there.
fn top(lines: &[Vec<(f64, f64)>]) -> f64 {
    let most = lines.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    if most > 0.0 { most * 1.05 } else { 1.0 }
}

/// Draws `samples` into an SVG file at `path`: memory above, times below.
pub fn draw(path: &Path, samples: &[Sample]) -> Result<()> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let (above, below) = area.split_vertically(SIZE.1 / 2);
        let memory = vec![line(samples, |sample| sample.resident), line(samples, |sample| sample.anonymous)];
        chart(&above, "server memory, MiB", &memory, &["resident", "anonymous"], SeriesLabelPosition::LowerRight)?;
        let times = vec![
            line(samples, |sample| sample.receipt.0),
            line(samples, |sample| sample.receipt.1),
            line(samples, |sample| sample.page),
        ];
        chart(
            &below,
            "milliseconds",
            &times,
            &["due to receipt, p50", "due to receipt, p99", "due to page, p99"],
            SeriesLabelPosition::UpperRight,
        )?;
        area.present().map_err(failed)?;
    }
    Ok(std::fs::write(path, svg)?)
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    lines: &[Vec<(f64, f64)>],
    names: &[&str],
    place: SeriesLabelPosition,
) -> Result<()> {
    let minutes = lines.iter().flatten().map(|(minutes, _)| *minutes).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..minutes, 0.0..top(lines))
        .map_err(failed)?;
    chart.configure_mesh().x_desc("minutes").light_line_style(WHITE).draw().map_err(failed)?;
    for ((points, name), colour) in lines.iter().zip(names).zip([BLUE, RED, GREEN]) {
        let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), colour)).map_err(failed)?;
        drawn.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    let labels = chart.configure_series_labels().position(place).background_style(WHITE.mix(0.8)).draw();
    labels.map_err(failed)
}

/// The errors of the library borrow the picture.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing the plot: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(number: usize) -> Sample {
        let value = number as f64;
        Sample { minutes: value / 6.0, resident: 50.0 + value, anonymous: 40.0, receipt: (0.4, 2.0), page: 3.0 }
    }

    #[test]
    fn a_line_has_few_points_and_keeps_its_peaks() {
        let mut samples: Vec<Sample> = (0..9_000).map(sample).collect();
        samples[4_321].receipt.1 = 900.0;
        let points = line(&samples, |sample| sample.receipt.1);
        assert!(points.len() <= POINTS && points.len() > POINTS / 2, "{}", points.len());
        assert!(points.contains(&(samples[4_321].minutes, 900.0)));
        assert_eq!(line(&samples[..3], |sample| sample.resident).len(), 3);
    }

    #[test]
    fn axes_hold_what_is_there() {
        assert_eq!(top(&[vec![(0.0, 100.0)], vec![(1.0, 20.0)]]), 105.0);
        assert_eq!(top(&[Vec::new()]), 1.0);
    }

    #[test]
    fn the_picture_has_its_lines_and_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("soak.svg");
        draw(&path, &[]).unwrap();
        draw(&path, &(0..30).map(sample).collect::<Vec<_>>()).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        for words in ["server memory, MiB", "milliseconds", "minutes", "due to page, p99"] {
            assert!(svg.contains(words), "{words}");
        }
        // Five lines, of thirty points each.
        let long = svg.split("<polyline").skip(1).filter(|part| {
            let points = part.split("points=\"").nth(1).and_then(|rest| rest.split('"').next());
            points.is_some_and(|points| points.split_whitespace().count() == 30)
        });
        assert_eq!(long.count(), 5);
    }

    #[test]
    fn memory_is_told_by_quarters() {
        let figures = memory_figures(&(0..101).map(sample).collect::<Vec<_>>());
        assert_eq!(
            figures,
            json!({ "first": 50.0, "quarter": 75.0, "half": 100.0, "three quarters": 125.0, "last": 150.0, "most": 150.0 })
        );
        assert_eq!(memory_figures(&[])["first"], Value::Null);
    }
}
