//! `assignments`: what each host should do about an instance.
