//! Mail addresses as certificates and headers bear them (RFC 5321 2.3.11, RFC 5280 7.5).

/// Do two addresses name the same mailbox? Domains compare without case, local parts with.
pub fn same_address(a: &str, b: &str) -> bool {
    match (a.rsplit_once('@'), b.rsplit_once('@')) {
        (Some((local_a, domain_a)), Some((local_b, domain_b))) => {
            !local_a.is_empty() && local_a == local_b && domain_a.eq_ignore_ascii_case(domain_b)
        }
        _ => false,
    }
}

/// The addresses of a `To` or `Cc` field (RFC 5322 3.4): what stands in angle brackets, or the bare addr-spec.
///
/// Quoted strings and comments are passed over, groups opened; anything else stays as it is and matches nobody.
pub(crate) fn address_list(field: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    let mut bare = String::new();
    let mut angle: Option<String> = None;
    let mut within_angle = false;
    let mut quoted = false;
    let mut comment = 0u32;
    let mut characters = field.chars();
    let mut finish = |bare: &mut String, angle: &mut Option<String>| {
        let address = angle.take().unwrap_or_else(|| bare.trim().to_owned());
        bare.clear();
        if address.contains('@') {
            addresses.push(address.trim().to_owned());
        }
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted || comment > 0 => {
                let next = characters.next();
                if comment == 0 {
                    bare.extend(next);
                }
            }
            '"' if comment == 0 && !within_angle => quoted = !quoted,
            _ if quoted => bare.push(character),
            '(' => comment = comment.saturating_add(1),
            ')' if comment > 0 => comment -= 1,
            _ if comment > 0 => {}
            '<' => {
                within_angle = true;
                angle = Some(String::new());
            }
            '>' => within_angle = false,
            ',' | ';' if !within_angle => finish(&mut bare, &mut angle),
            ':' if !within_angle => bare.clear(),
            _ => match angle.as_mut().filter(|_| within_angle) {
                Some(inside) => inside.push(character),
                None => bare.push(character),
            },
        }
    }
    finish(&mut bare, &mut angle);
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_no_case_and_local_parts_do() {
        assert!(same_address("ichiro@B.example", "ichiro@b.EXAMPLE"));
        assert!(!same_address("Ichiro@b.example", "ichiro@b.example"));
        assert!(!same_address("@b.example", "@b.example"));
        assert!(!same_address("ichiro", "ichiro"));
    }

    #[test]
    fn address_lists() {
        assert_eq!(
            address_list("\"Ichiro, S. <x@y>\" <ichiro@b.example>, yuki@c.example (home, <z@z>), all: a@a, b@b;"),
            ["ichiro@b.example", "yuki@c.example", "a@a", "b@b"]
        );
        assert!(address_list("undisclosed-recipients:;").is_empty());
    }
}
