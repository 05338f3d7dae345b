//! The loss curve as a picture.

use plotters::prelude::*;

use super::TrainError;
use super::curve::Curve;

const SIZE: (u32, u32) = (900, 480);
/// Steps whose mean a smoothed point is.
const WINDOW: usize = 10;

/// An SVG: each step's loss, its running mean, and the held-out loss.
pub fn plot(curve: &Curve) -> Result<String, TrainError> {
    let mut svg = String::new();
    draw(curve, &mut svg).map_err(|error| TrainError::Plot(error.to_string()))?;
    Ok(svg)
}

fn draw(curve: &Curve, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let losses: Vec<(f64, f64)> = curve.steps.iter().map(|step| (step.step as f64, step.loss)).collect();
    let held_out: Vec<(f64, f64)> =
        curve.validation.iter().map(|point| (point.step as f64, point.loss)).collect();
    let most = losses.iter().chain(&held_out).map(|(_, loss)| *loss).fold(0.1, f64::max);
    let last = losses.last().map_or(1.0, |(step, _)| *step);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, 0.0..most * 1.05)?;
    chart.configure_mesh().x_desc("step").y_desc("nats a token").draw()?;
    let (grey, blue, red) = (RGBColor(200, 200, 205), RGBColor(40, 90, 200), RGBColor(200, 50, 40));
    chart.draw_series(LineSeries::new(losses.clone(), grey))?.label("step").legend(move |at| key(at, grey));
    chart
        .draw_series(LineSeries::new(smoothed(&losses), blue.stroke_width(2)))?
        .label("mean of ten")
        .legend(move |at| key(at, blue));
    chart
        .draw_series(LineSeries::new(held_out, red.stroke_width(2)).point_size(4))?
        .label("held out")
        .legend(move |at| key(at, red));
    chart.configure_series_labels().border_style(grey).background_style(WHITE).draw()?;
    root.present()?;
    Ok(())
}

fn key((x, y): (i32, i32), colour: RGBColor) -> PathElement<(i32, i32)> {
    PathElement::new(vec![(x, y), (x + 18, y)], colour)
}

fn smoothed(losses: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mean = |window: &[(f64, f64)]| window.iter().map(|(_, loss)| loss).sum::<f64>() / window.len() as f64;
    let point = |at: usize| (losses[at].0, mean(&losses[at.saturating_sub(WINDOW - 1)..=at]));
    (0..losses.len()).map(point).collect()
}
