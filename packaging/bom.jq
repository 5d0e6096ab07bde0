# From what cargo-cyclonedx says to what is in the library. $linked are the crates in it, as name@version; $id is the
# library's SHA-256, $created its time, $here the checkout's folder.

# Names as in $linked also for our own crates, which are called by their folders, whose paths differ between machines.
def plain: walk(
    if type != "string" then .
    elif startswith("path+file://\($here)/crates/") then
        ltrimstr("path+file://\($here)/crates/") | capture("^(?<name>[^#]+)#(?<version>.*)$") | "\(.name)@\(.version)"
    elif startswith("path+file://\($here)#") then
        ltrimstr("path+file://\($here)#") | ltrimstr("validator@") | "validator@\(.)"
    else sub("^registry\\+[^#]*#"; "") | sub("\\?download_url=file:.*$"; "")
    end);

del(.metadata.component.components)
| plain
| .components |= map(select(.["bom-ref"] | IN($linked[])))
| .dependencies |= map(select(.ref | IN($linked[])) | .dependsOn = [.dependsOn[]? | select(IN($linked[]))])
| .metadata.timestamp = $created
| .metadata.component.hashes = [{alg: "SHA-256", content: $id}]
# A UUID (RFC 9562 §5.8) from the digest: the same library has the same number.
| .serialNumber = "urn:uuid:\($id[0:8])-\($id[8:12])-8\($id[13:16])-8\($id[17:20])-\($id[20:32])"
