//! The program `peergraph`. Everything it does, the library can do.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;

fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let arguments = cli::Arguments::parse();
    cli::log(arguments.global.verbose);
    // A node has a file for each link, and many systems begin with 1,024 of them.
    #[cfg(unix)]
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli::run(arguments)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output has enough, as `head` does.
        Err(error) if cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            cli::note!("error: {error:#}{}", cli::places_of(&error));
            ExitCode::FAILURE
        }
    }
}
