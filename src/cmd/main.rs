//! The process's entry.

fn main() -> std::process::ExitCode {
    natsx::cmd::main()
}
