use image_convert::{Format, Target};
use image_model::DiskFormat;

pub(super) fn print() {
    println!("format   told apart   read   written");
    for format in DiskFormat::ALL {
        let name = format.as_str();
        let yes = |is: bool| if is { "yes" } else { "-" };
        let told = !matches!(format, DiskFormat::Ami | DiskFormat::Aki | DiskFormat::Ari | DiskFormat::Raw);
        let (read, written) = (Format::of(name).is_some(), Target::of(name, None).is_ok());
        println!("{:<8} {:<12} {:<6} {:<8} {}", name, yes(told), yes(read), yes(written), about(*format));
    }
    println!(
        "\nFound and never accepted: qed. Found, and accepted only as what they are on a raw disk: gpt (and MBR). luks: not."
    );
}

fn about(format: DiskFormat) -> &'static str {
    match format {
        DiskFormat::Raw => "whatever is none of the others; partitioned disks and ISO images may be declared raw",
        DiskFormat::Qcow2 => {
            "versions 2 and 3; no backing file, no external data file; subclusters are read, not accepted"
        }
        DiskFormat::Vmdk => "monolithicSparse and streamOptimized; the latter is written",
        DiskFormat::Vhd => "dynamic, and fixed where declared; no parent; dynamic is written",
        DiskFormat::Vhdx => "fixed and dynamic; no parent, and closed properly",
        DiskFormat::Vdi => "fixed and dynamic; no parent; dynamic is written",
        DiskFormat::Ploop => "a single expandable file",
        DiskFormat::Iso => "ISO 9660 and UDF, hybrid ones too; read as raw",
        DiskFormat::Ami | DiskFormat::Aki | DiskFormat::Ari => {
            "no signature: anything that is no other format; read as raw"
        }
    }
}
