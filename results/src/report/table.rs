//! Tables that become cards on a phone: every cell carries a name of its own.

use maud::{Markup, html};

/// A column: the group that it stands in (or nothing), its name there, its name on a card, whether it holds
/// numbers.
#[derive(Clone, Copy)]
pub(super) struct Column(
    pub &'static str,
    pub &'static str,
    pub &'static str,
    pub bool,
);

pub(super) fn table(columns: &[Column], rows: Vec<Vec<Markup>>) -> Markup {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for Column(group, ..) in columns {
        match groups.last_mut() {
            Some((last, count)) if last == group => *count += 1,
            _ => groups.push((group, 1)),
        }
    }
    let class = |is_number: bool| if is_number { "num" } else { "txt" };
    html! {
        div.scroll {
            table {
                thead {
                    @if groups.iter().any(|(group, _)| !group.is_empty()) {
                        tr.groups {
                            @for (group, count) in &groups {
                                th colspan=(count) class=[(!group.is_empty()).then_some("group")] { (group) }
                            }
                        }
                    }
                    tr {
                        @for Column(_, name, _, is_number) in columns {
                            th class=(class(*is_number)) { (name) }
                        }
                    }
                }
                tbody {
                    @for row in rows {
                        tr {
                            @for (cell, Column(_, _, card, is_number)) in row.iter().zip(columns) {
                                td class=(class(*is_number)) data-label=(card) { span.cell { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
