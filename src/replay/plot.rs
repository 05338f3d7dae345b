//! The report's pictures, as SVG.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::ReplayError;
use super::arms::Arm;
use super::compare::{Judged, Lift};
use super::frontier::{Frontier, OverRanker};
use super::report::Report;

const SIZE: (u32, u32) = (860, 360);
const GREY: RGBColor = RGBColor(130, 130, 138);

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn colour(arm: Arm) -> RGBColor {
    match arm {
        Arm::Popularity => RGBColor(150, 150, 155),
        Arm::Baseline => RGBColor(70, 70, 80),
        Arm::Ranker => RGBColor(40, 90, 200),
        Arm::Cascade => RGBColor(215, 130, 20),
        Arm::Fused => RGBColor(20, 140, 90),
    }
}

fn svg(name: &'static str, draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, ReplayError> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let drawn = root.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&root));
        let drawn = drawn.and_then(|()| Ok(root.present()?));
        drawn.map_err(|error| ReplayError::Plot { name, problem: error.to_string() })?;
    }
    Ok(text)
}

/// Adds per view over the strong baseline, pooled: a row an arm, its interval a bar.
pub fn lifts(report: &Report) -> Result<String, ReplayError> {
    let rows: Vec<(Arm, Lift)> = report
        .pooled
        .iter()
        .filter_map(|(arm, judged)| Some((*arm, judged.over_baseline.adds?)))
        .rev()
        .collect();
    svg("lifts", |root| {
        let (low, high) = bounds(rows.iter().map(|(_, lift)| *lift));
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(110)
            .build_cartesian_2d(low..high, -0.6..rows.len() as f64 - 0.4)?;
        let name = |at: &f64| match rows.get(at.round() as usize) {
            Some((arm, _)) if (at - at.round()).abs() < 1e-6 && *at > -0.5 => {
                format!("({}) {}", arm.letter(), arm.id())
            }
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 14))
            .disable_y_mesh()
            .y_labels(2 * rows.len().max(1) + 1)
            .y_label_formatter(&name)
            .x_desc("cart adds per page view over the strong baseline, percent")
            .draw()?;
        let height = rows.len() as f64 - 0.4;
        chart.draw_series([PathElement::new(vec![(0.0, -0.6), (0.0, height)], GREY.stroke_width(1))])?;
        for (at, (arm, lift)) in rows.iter().enumerate() {
            let (at, shade) = (at as f64, colour(*arm));
            chart.draw_series([PathElement::new(
                vec![(lift.low, at), (lift.high, at)],
                shade.stroke_width(4),
            )])?;
            chart.draw_series([Circle::new((lift.percent, at), 6, shade.filled())])?;
            let label = format!("{:+.1} %", lift.percent);
            chart.draw_series([Text::new(label, (lift.percent, at + 0.28), ("sans-serif", 13))])?;
        }
        Ok(())
    })
}

/// The same by origin; arms beside each other.
pub fn origins(report: &Report) -> Result<String, ReplayError> {
    let mut points: Vec<(usize, Arm, Lift)> = Vec::new();
    for (at, origin) in report.origins.iter().enumerate() {
        let lifts = origin.arms.iter().filter_map(|(arm, one)| Some((*arm, one.judged.over_baseline.adds?)));
        points.extend(lifts.map(|(arm, lift)| (at, arm, lift)));
    }
    svg("origins", |root| {
        let (low, high) = bounds(points.iter().map(|(_, _, lift)| *lift));
        let count = report.origins.len() as f64;
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d(-0.5..count - 0.5, low..high)?;
        let name = |at: &f64| match report.origins.get(at.round() as usize) {
            Some(origin) if (at - at.round()).abs() < 1e-6 && *at > -0.5 => {
                format!("{}{}", origin.as_of, if origin.clean { "" } else { " (seen in training)" })
            }
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 14))
            .disable_x_mesh()
            .x_labels(2 * report.origins.len() + 1)
            .x_label_formatter(&name)
            .y_desc("over the baseline, percent")
            .draw()?;
        chart.draw_series([PathElement::new(vec![(-0.5, 0.0), (count - 0.5, 0.0)], GREY.stroke_width(1))])?;
        for arm in Arm::ALL {
            let shade = colour(arm);
            let place = |at: usize| at as f64 + (f64::from(arm as u8) - 2.0) * 0.13;
            let mine: Vec<&(usize, Arm, Lift)> = points.iter().filter(|(_, one, _)| *one == arm).collect();
            if mine.is_empty() {
                continue;
            }
            chart.draw_series(mine.iter().map(|(at, _, lift)| {
                PathElement::new(vec![(place(*at), lift.low), (place(*at), lift.high)], shade.stroke_width(3))
            }))?;
            chart
                .draw_series(
                    mine.iter()
                        .map(|(at, _, lift)| Circle::new((place(*at), lift.percent), 5, shade.filled())),
                )?
                .label(format!("({}) {}", arm.letter(), arm.id()))
                .legend(move |at| Circle::new((at.0 + 9, at.1), 5, shade.filled()));
        }
        chart.configure_series_labels().border_style(GREY).background_style(WHITE).draw()?;
        Ok(())
    })
}

/// All adds against adds of products new to the household, each over the ranker-only page, pooled: (c) and (e) as dots, the
/// frontier's two lines with their weights of first purchases.
pub fn frontier(report: &Report) -> Result<String, ReplayError> {
    let over =
        |judged: &Judged| Some((judged.over_ranker.adds?.percent, judged.over_ranker.new_adds?.percent));
    let mut points: Vec<(Arm, (f64, f64))> =
        report.pooled.iter().filter_map(|(arm, judged)| Some((*arm, over(judged)?))).collect();
    if report.pooled.contains_key(&Arm::Ranker) {
        points.push((Arm::Ranker, (0.0, 0.0)));
    }
    // The others lie far off and would squeeze the lines into a corner.
    points.retain(|(arm, _)| matches!(arm, Arm::Ranker | Arm::Fused) || report.frontier.is_empty());
    let lines = [
        ("fused, by weight of first purchases", Arm::Fused, line(report, |point| point.fused)),
        ("the same products without themes", Arm::Ranker, line(report, |point| point.unthemed)),
    ];
    let all: Vec<(f64, f64)> = points
        .iter()
        .map(|(_, point)| *point)
        .chain(lines.iter().flat_map(|(_, _, line)| line.iter().map(|(_, point)| *point)))
        .collect();
    svg("frontier", |root| {
        let range = |value: fn(&(f64, f64)) -> f64| {
            let values = all.iter().map(value);
            let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
            let room = ((high - low) * 0.15).max(1.0);
            low - room..high + room
        };
        let (x, y) = (range(|point| point.0), range(|point| point.1));
        let mut chart = ChartBuilder::on(root)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(x.clone(), y.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 14))
            .x_desc("all cart adds per view over (c), percent")
            .y_desc("new to the household, over (c), percent")
            .draw()?;
        let axes = [vec![(0.0, y.start), (0.0, y.end)], vec![(x.start, 0.0), (x.end, 0.0)]]
            .map(|ends| PathElement::new(ends, GREY.stroke_width(1)));
        chart.draw_series(axes)?;
        for (name, arm, line) in lines.iter().filter(|(_, _, line)| !line.is_empty()) {
            let shade = colour(*arm);
            let ends = line.iter().map(|(_, point)| *point);
            chart.draw_series(LineSeries::new(ends, shade.stroke_width(2)))?.label(*name).legend(move |at| {
                PathElement::new(vec![(at.0, at.1), (at.0 + 18, at.1)], shade.stroke_width(2))
            });
            for (discovery, point) in line {
                chart.draw_series([Circle::new(*point, 3, shade.filled())])?;
                let beside = (point.0 + (x.end - x.start) * 0.008, point.1);
                chart.draw_series([Text::new(discovery.to_string(), beside, ("sans-serif", 11))])?;
            }
        }
        for (arm, point) in &points {
            chart.draw_series([Circle::new(*point, 7, colour(*arm).filled())])?;
            let label = format!("({}) {}", arm.letter(), arm.id());
            let above = (point.0, point.1 + (y.end - y.start) * 0.06);
            chart.draw_series([Text::new(label, above, ("sans-serif", 13))])?;
        }
        let corner = SeriesLabelPosition::LowerLeft;
        chart.configure_series_labels().position(corner).border_style(GREY).background_style(WHITE).draw()?;
        Ok(())
    })
}

/// One line of the frontier: the weight of first purchases, and the lifts over the ranker-only page.
fn line(report: &Report, of: fn(&Frontier) -> OverRanker) -> Vec<(f32, (f64, f64))> {
    let point = |point: &Frontier| (point.discovery, (of(point).adds, of(point).new_adds));
    report.frontier.iter().map(point).collect()
}

/// From below the lowest interval to above the highest, 0 included.
fn bounds(lifts: impl Iterator<Item = Lift>) -> (f64, f64) {
    let (low, high) =
        lifts.fold((0.0f64, 0.0f64), |(low, high), lift| (low.min(lift.low), high.max(lift.high)));
    let room = ((high - low) * 0.08).max(0.5);
    (low - room, high + room)
}
