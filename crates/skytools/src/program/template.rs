//! The sample configuration of `--ini`.

/// The keys that every program has.
pub const BASE_TEMPLATE: &str = "\
# name of the job in logs and default name of the consumer; the base name of this file by default
#job_name = %(service_name)s

# the process id is kept here; needed for -d, -r, -s and -k
pidfile = ~/pid/%(job_name)s.pid

# log file; without it messages go to standard error only
#logfile = ~/log/%(job_name)s.log
# rotation: size in bytes (10M works too) and number of old files
#log_size = 10485760
#log_count = 3
# text or json
#log_format = text

# seconds to sleep when there is nothing to do; 0: end when idle, below 0: one round
#loop_delay = 1.0

# seconds to sleep after a failure
#exception_sleep = 20
# failures that are only warnings at first (kinds of error, SQLSTATE codes, or ALL) ...
#exception_quiet =
# ... for this many seconds; after this many seconds of success the count starts over
#exception_grace = 300
#exception_reset = 900

# seconds after which a database connection is replaced; 0: never
#connection_lifetime = 1200
";

/// The sample file: section header, fragments separated by blank lines, `--set` values merged in.
///
/// A commented key is followed by the active `key = value`; an active key with a value is kept as a comment
/// before the new one; an active key without value is replaced. Values for keys that the template does not
/// have are appended.
pub fn render(section: &str, fragments: &[&str], set: &[(String, String)]) -> String {
    let mut out = format!("[{section}]\n");
    let mut used = vec![false; set.len()];
    for fragment in fragments.iter().filter(|f| !f.trim().is_empty()) {
        out.push('\n');
        for line in fragment.trim_matches('\n').lines() {
            let active = line.trim_start_matches(['#', ' ']);
            let commented = line.trim_start().starts_with('#');
            let parts = active.split_once('=').map(|(key, old)| (key.trim(), old.trim()));
            let is_key = |key: &str| !key.is_empty() && !key.contains(char::is_whitespace);
            // Of several values for one key the last one counts.
            let found = parts
                .filter(|(key, _)| is_key(key))
                .and_then(|(key, old)| Some((set.iter().rposition(|(k, _)| k == key)?, key, old)));
            let Some((index, key, old)) = found else {
                out.push_str(line);
                out.push('\n');
                continue;
            };
            for (used, (k, _)) in used.iter_mut().zip(set) {
                *used |= k == key;
            }
            if commented {
                out.push_str(line);
                out.push('\n');
            } else if !old.is_empty() {
                out.push_str(&format!("#{line}\n"));
            }
            out.push_str(&format!("{key} = {}\n", set[index].1));
        }
    }
    let rest: Vec<_> = set.iter().zip(&used).filter(|(_, used)| !**used).map(|(pair, _)| pair).collect();
    if !rest.is_empty() {
        out.push('\n');
        for (key, value) in rest {
            out.push_str(&format!("{key} = {value}\n"));
        }
    }
    out
}
