//! Builds the guest and says where it is.
fn main() -> anyhow::Result<()> {
    let started = std::time::Instant::now();
    let kernel = if std::env::args().any(|a| a == "generic") { guest::Kernel::Generic } else { guest::Kernel::Cloud };
    let options = guest::Options { kernel, ..Default::default() };
    let guest = guest::build(&options, &mut |step| println!("{:6.2} {step}", started.elapsed().as_secs_f32()))?;
    println!("{:6.2} done: {guest:#?}", started.elapsed().as_secs_f32());
    Ok(())
}
