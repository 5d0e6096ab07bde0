//! docs/performance.svg: the page faults of a login above the floor, as bars, with the CPU next to them.
//!
//! Written by hand, since bars are rectangles: the libraries for plots write colours as attributes, so that a chart for dark
//! pages would need its output rewritten, and have no bars of two series with text at their ends.

use std::fmt::Write as _;

use crate::report::{hundredths, signed};
use crate::results::{Measured, Results};
use crate::rows::{Mode, short_name};

const WIDTH: f64 = 800.0;
const MARGIN: f64 = 16.0;
/// Where the first row begins.
const TOP: f64 = 76.0;
const BAR: f64 = 15.0;
/// Between the bars of two names.
const GAP: f64 = 11.0;
/// For what stands at the end of the longest bar.
const TEXT: f64 = 190.0;
/// At the font size of names, on average.
const CHARACTER: f64 = 7.8;

/// With colours of its own for light and dark pages, on a background of its own.
const STYLE: &str = "\
text { font: 13px sans-serif; fill: #1f2328 }
.title { font-weight: bold }
.note, .tick { font-size: 12px; fill: #59636e }
.note { stroke: #ffffff; stroke-width: 4px; paint-order: stroke }
.page { fill: #ffffff }
.line { stroke: #d1d9e0 }
.zero { stroke: #59636e }
.on-demand { fill: #bc4c00 }
.preloaded { fill: #0969da }
.built-in { fill: #818b98 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.note, .tick { fill: #9198a1 }
.note { stroke: #0d1117 }
.page { fill: #0d1117 }
.line { stroke: #3d444d }
.zero { stroke: #9198a1 }
.on-demand { fill: #f0883e }
.preloaded { fill: #4493f8 }
.built-in { fill: #656c76 }
}
";

/// The text of the file.
pub fn draw(results: &Results) -> String {
    let groups = groups(results);
    let above = |row: &Measured| results.faults_above_floor(row).unwrap_or(0.0);
    let values = groups
        .iter()
        .flat_map(|(_, rows)| rows.iter().copied().map(above));
    let scale = Scale::of(values.collect::<Vec<_>>().as_slice());
    let names = groups.iter().map(|(name, _)| label(name).chars().count());
    let left = MARGIN + names.max().unwrap_or(0) as f64 * CHARACTER + 8.0;
    let place = |value: f64| left + scale.part(value) * (WIDTH - TEXT - left);

    let mut body = String::new();
    let mut y = TOP;
    for (name, rows) in &groups {
        let middle = y + rows.len() as f64 * BAR / 2.0 + 4.5;
        text(&mut body, (left - 8.0, middle), "end", "", &label(name));
        for row in rows {
            bar(&mut body, row, above(row), (y, place));
            y += BAR;
        }
        y += GAP;
    }
    let mut svg = String::new();
    let height = y + 26.0;
    put(
        &mut svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n<title>{TITLE}</title>\n\
             <style>\n{STYLE}</style>\n\
             <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n"
        ),
    );
    text(&mut svg, (MARGIN, 26.0), "start", "title", TITLE);
    legend(&mut svg, &groups);
    for tick in scale.ticks() {
        let (x, class) = (place(tick), if tick == 0.0 { "zero" } else { "line" });
        put(
            &mut svg,
            format_args!(
                "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{y:.1}\"/>\n",
                TOP - 6.0
            ),
        );
        text(&mut svg, (x, y + 15.0), "middle", "tick", &signed(tick));
    }
    svg + &body + "</svg>\n"
}

const TITLE: &str = "Page faults of a login above the floor, and CPU as a multiple of the floor's";

/// The rows of each name, which differ in when the library is loaded.
fn groups(results: &Results) -> Vec<(&str, Vec<&Measured>)> {
    let mut groups: Vec<(&str, Vec<&Measured>)> = Vec::new();
    for row in results.logins.iter().filter(|row| !row.is_floor()) {
        let name = short_name(&row.name);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((name, vec![row])),
        }
    }
    groups
}

/// The end of a name that is too long, such as the path of a library.
fn label(name: &str) -> String {
    const MOST: usize = 32;
    let characters = name.chars().count();
    match characters > MOST {
        true => format!(
            "…{}",
            name.chars().skip(characters + 1 - MOST).collect::<String>()
        ),
        false => name.to_owned(),
    }
}

/// One bar from zero to the value, and what it stands for.
fn bar(svg: &mut String, row: &Measured, value: f64, (y, place): (f64, impl Fn(f64) -> f64)) {
    let (from, to) = (place(value.min(0.0)), place(value.max(0.0)));
    put(
        svg,
        format_args!(
            "<rect class=\"{}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\n",
            class(row.loaded),
            to - from,
            BAR - 2.0
        ),
    );
    let note = format!(
        "{}, CPU × {} ± {}",
        signed(value),
        hundredths(row.cpu_ratio_to_floor),
        hundredths(row.cpu_ratio_standard_error)
    );
    text(svg, (to + 6.0, y + 10.5), "start", "note", &note);
}

/// A square for each way of loading that there is.
fn legend(svg: &mut String, groups: &[(&str, Vec<&Measured>)]) {
    let mut x = MARGIN;
    for (mode, meaning) in [
        (Mode::OnDemand, "validator loaded at each login"),
        (Mode::Preloaded, "preloaded"),
        (Mode::BuiltIn, "without a validator"),
    ] {
        let mut rows = groups.iter().flat_map(|(_, rows)| rows);
        if !rows.any(|row| row.loaded == mode) {
            continue;
        }
        let class = class(mode);
        put(
            svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"41\" width=\"12\" height=\"12\"/>\n"
            ),
        );
        text(svg, (x + 18.0, 51.5), "start", "", meaning);
        x += 18.0 + meaning.len() as f64 * CHARACTER + 20.0;
    }
}

fn class(mode: Mode) -> &'static str {
    match mode {
        Mode::BuiltIn => "built-in",
        Mode::OnDemand => "on-demand",
        Mode::Preloaded => "preloaded",
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
    let class = match class {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    };
    let text = escaped(text);
    put(
        svg,
        format_args!(
            "<text{class} x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n"
        ),
    );
}

/// Names of other libraries are paths, which can have any character.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

fn put(svg: &mut String, piece: std::fmt::Arguments<'_>) {
    svg.write_fmt(piece).expect("a string takes all text");
}

/// Round numbers around all values and zero.
struct Scale {
    least: f64,
    most: f64,
    step: f64,
}

impl Scale {
    fn of(values: &[f64]) -> Scale {
        let least = values.iter().copied().fold(0.0, f64::min);
        let most = values.iter().copied().fold(1.0, f64::max);
        let steps = [1.0, 2.0, 5.0];
        let mut all = (0..9).flat_map(|power| steps.map(|step| step * 10_f64.powi(power)));
        let step = all.find(|step| (most - least) / step <= 6.0);
        let step = step.unwrap_or(1e9);
        Scale {
            least: (least / step).floor() * step,
            most: (most / step).ceil() * step,
            step,
        }
    }

    /// How far to the right: 0 to 1.
    fn part(&self, value: f64) -> f64 {
        (value - self.least) / (self.most - self.least)
    }

    fn ticks(&self) -> Vec<f64> {
        let count = ((self.most - self.least) / self.step).round() as i32;
        (0..=count)
            .map(|tick| self.least + f64::from(tick) * self.step)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::{results, row};
    use crate::rows::FLOOR;

    #[test]
    fn scale_has_round_ticks_around_all_values_and_zero() {
        let scale = Scale::of(&[-28.0, 99.0, 242.0]);
        assert_eq!(
            scale.ticks(),
            [-50.0, 0.0, 50.0, 100.0, 150.0, 200.0, 250.0]
        );
        assert_eq!((scale.part(-50.0), scale.part(250.0)), (0.0, 1.0));
        assert_eq!(scale.part(100.0), 0.5);
        assert_eq!(Scale::of(&[54.0, 62.0]).ticks().first(), Some(&0.0));
        // Nothing, or nothing but the floor, is no reason to divide by zero.
        assert_eq!(Scale::of(&[]).ticks(), Scale::of(&[0.0]).ticks());
        assert!(Scale::of(&[0.0]).part(0.0).is_finite());
    }

    #[test]
    fn every_row_but_the_floors_has_a_bar_from_zero() {
        let results = results(vec![
            row("trust", Mode::BuiltIn, 500.0, 0.96),
            row(FLOOR, Mode::OnDemand, 550.0, 1.0),
            row("validator RS256", Mode::OnDemand, 650.0, 1.25),
            row(FLOOR, Mode::Preloaded, 540.0, 1.0),
            row("validator RS256", Mode::Preloaded, 590.0, 1.12),
        ]);
        let svg = draw(&results);
        let bars = |class: &str| {
            let start = format!("<rect class=\"{class}\" x=");
            let bars = svg.lines().filter(|line| line.starts_with(&start));
            let bars = bars.filter(|line| !line.contains("width=\"12\""));
            let attribute = |line: &str, name: &str| -> f64 {
                let (_, rest) = line.split_once(&format!(" {name}=\"")).unwrap();
                rest.split('"').next().unwrap().parse().unwrap()
            };
            bars.map(|line| (attribute(line, "x"), attribute(line, "width")))
                .collect::<Vec<_>>()
        };
        let [(zero, hundred)] = bars("on-demand")[..] else {
            panic!("{svg}")
        };
        let [(also_zero, fifty)] = bars("preloaded")[..] else {
            panic!("{svg}")
        };
        assert_eq!(zero, also_zero);
        assert!((hundred - 2.0 * fifty).abs() < 0.3, "{hundred} {fifty}");
        // Fewer faults than the floor go to the left, to zero.
        let [(left, width)] = bars("built-in")[..] else {
            panic!("{svg}")
        };
        assert!(left < zero && (left + width - zero).abs() < 0.3);
        assert!(svg.contains(">+100, CPU × 1.25 ± 0.01</text>"));
        assert!(svg.contains(">-50, CPU × 0.96 ± 0.01</text>"));
        assert_eq!(svg.matches(">RS256</text>").count(), 1);
        assert!(!svg.contains(">floor</text>"));
    }

    #[test]
    fn name_of_a_library_cannot_break_the_chart() {
        let long = label(&format!("/{}/validator.so", "x".repeat(2000)));
        assert_eq!(long.chars().count(), 32);
        assert!(long.starts_with('…') && long.ends_with("/validator.so"));
        let svg = draw(&results(vec![
            row(FLOOR, Mode::OnDemand, 550.0, 1.0),
            row("/tmp/<a&b>.so", Mode::OnDemand, 600.0, 1.1),
        ]));
        assert!(svg.contains(">/tmp/&lt;a&amp;b&gt;.so</text>"));
    }
}
