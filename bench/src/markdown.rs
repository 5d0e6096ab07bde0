//! Tables in Markdown, as a page has them.

/// The first two columns are names, all others numbers. Cells are padded, for those who read it in a terminal.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|title| (*title).to_owned()).collect();
    let all = || [&head].into_iter().chain(rows);
    let width = |column: usize| {
        let cells = all().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, (cell, width)): (usize, (&String, &usize))| match column {
            0 | 1 => format!(" {cell:width$} |"),
            _ => format!(" {cell:>width$} |"),
        };
        let cells = row.iter().zip(&widths).enumerate().map(cell);
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = |(column, width): (usize, &usize)| match column {
        0 | 1 => format!("{}|", "-".repeat(width + 2)),
        _ => format!("{}:|", "-".repeat(width + 1)),
    };
    let rule = widths.iter().enumerate().map(rule).collect::<String>();
    let rows: String = rows.iter().map(line).collect();
    format!("{}|{rule}\n{rows}", line(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_at_the_right() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["RS256", "preloaded", "5960"]), row(["µ", "", "1"])];
        assert_eq!(
            table(&["row", "loaded", "CPU, µs"], &rows),
            "| row   | loaded    | CPU, µs |\n\
             |-------|-----------|--------:|\n\
             | RS256 | preloaded |    5960 |\n\
             | µ     |           |       1 |\n"
        );
    }
}
