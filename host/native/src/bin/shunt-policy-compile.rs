//! Compiles a policy in a process that limits itself: `shunt_native::policy::compile`.

fn main() -> std::process::ExitCode {
    shunt_native::policy::compile::main()
}
