//! Byte counts written for people: `10G`, `12k`, `500 MB`.

/// Parses an integer with an optional factor K M G T P E Z Y (powers of 1024, any case) and an optional `B`.
///
/// `None` when the text is something else or the number does not fit 64 bits (Z and Y never do unless the number is 0).
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start().to_ascii_uppercase();
    let unit = unit.strip_suffix('B').unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        "T" => 4,
        "P" => 5,
        "E" => 6,
        "Z" | "Y" => return (number == 0).then_some(0),
        _ => return None,
    };
    number.checked_mul(1u64 << (10 * power))
}
