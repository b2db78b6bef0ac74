using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;

namespace LightTunnel.Diagnostics;

/// <summary>How a log's file becomes the next.</summary>
/// <param name="Path">Its full path, to which days and numbers are added: hub20260131_002.log.</param>
/// <param name="IsDaily">Whether each day has a file of its own.</param>
/// <param name="MaximumLength">Bytes after which the next is begun.</param>
/// <param name="Kept">Files that are kept.</param>
internal sealed record RollingPlan(string Path, bool IsDaily, long MaximumLength, int Kept);

/// <summary>
/// A log in files that only their owner reads, opened without following links, written at the end wherever others write too. What cannot
/// be written is lost, and tried again ten seconds later. Serilog's own file sink follows links, and gives up its limit of length when it
/// is handed a file that was opened otherwise. Any thread.
/// </summary>
internal sealed partial class RollingFile(RollingPlan plan, ITextFormatter formatter) : ILogEventSink, IDisposable
{
    private const UnixFileMode OwnerFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const int SharingViolation = 32;

    /// <summary>Another process may have a file open so that nobody else can write it (Windows).</summary>
    private const int MostTaken = 8;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private FileStream? _stream;
    private Name _current;
    private DateTimeOffset _notBefore = DateTimeOffset.MinValue;
    private bool _isDisposed;

    /// <inheritdoc/>
    public void Emit(LogEvent logEvent)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        formatter.Format(logEvent, text);
        byte[] bytes = Encoding.UTF8.GetBytes(text.ToString());
        lock (_gate)
        {
            // A clock that was set back does not silence a log.
            if (_isDisposed || (logEvent.Timestamp < _notBefore && _notBefore - logEvent.Timestamp <= Pause))
                return;
            try
            {
                FileStream stream = StreamFor(logEvent.Timestamp, bytes.Length);
                stream.Write(bytes);
                stream.Flush();
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                Close();
                _notBefore = logEvent.Timestamp + Pause;
            }
        }
    }

    /// <summary>The files of a plan that there are, the oldest first.</summary>
    public static IReadOnlyList<string> FilesOf(RollingPlan plan) => [.. NamesOf(plan).Select(name => name.PathIn(plan))];

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _isDisposed = true;
            Close();
        }
    }

    private FileStream StreamFor(DateTimeOffset time, int length)
    {
        string day = plan.IsDaily ? time.LocalDateTime.ToString("yyyyMMdd", CultureInfo.InvariantCulture) : string.Empty;
        if (_stream is not null && _current.Day == day && HasRoom(_stream, length))
            return _stream;
        Close();
        Name latest = NamesOf(plan).LastOrDefault(name => name.Day == day, new Name(day, 0));
        for (int i = 0; ; i++)
        {
            _current = latest with { Number = latest.Number + i };
            if (!TryOpen(_current.PathIn(plan), isLast: i == MostTaken, out FileStream? stream))
                continue;
            if (HasRoom(stream, length))
            {
                _stream = stream;
                RemoveOld();
                return stream;
            }

            stream.Dispose();
        }
    }

    private bool HasRoom(FileStream stream, int length) => stream.Length == 0 || stream.Length + length <= plan.MaximumLength;

    private static bool TryOpen(string path, bool isLast, [NotNullWhen(true)] out FileStream? stream)
    {
        if (!OperatingSystem.IsWindows())
        {
            stream = OperatingSystem.IsLinux()
                ? OwnedFile.OpenToAppend(path)
                : new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            File.SetUnixFileMode(stream.SafeFileHandle, OwnerFile);
            return true;
        }

        try
        {
            stream = WindowsAccess.Open(path, FileMode.OpenOrCreate, FileShare.Read);
            stream.Seek(0, SeekOrigin.End);
            return true;
        }
        catch (IOException exception) when (!isLast && (exception.HResult & 0xFFFF) == SharingViolation)
        {
            stream = null;
            return false;
        }
    }

    private void RemoveOld()
    {
        IReadOnlyList<Name> names = NamesOf(plan);
        foreach (Name old in names.Take(names.Count - plan.Kept))
        {
            try
            {
                File.Delete(old.PathIn(plan));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Somebody reads it; the next time is soon enough.
            }
        }
    }

    private void Close()
    {
        _stream?.Dispose();
        _stream = null;
    }

    private static Name[] NamesOf(RollingPlan plan)
    {
        (string name, string extension) = (Path.GetFileNameWithoutExtension(plan.Path), Path.GetExtension(plan.Path));
        var found = new List<Name>();
        foreach (string file in Directory.EnumerateFiles(Path.GetDirectoryName(plan.Path)!, $"{name}*{extension}"))
        {
            Match match = Suffix().Match(Path.GetFileNameWithoutExtension(file)[name.Length..]);
            if (match.Success && match.Groups["day"].Success == plan.IsDaily)
            {
                string number = match.Groups["number"].Value;
                found.Add(new Name(
                    match.Groups["day"].Value, number.Length == 0 ? 0 : int.Parse(number, CultureInfo.InvariantCulture)));
            }
        }

        return [.. found.OrderBy(one => one.Day, StringComparer.Ordinal).ThenBy(one => one.Number)];
    }

    [GeneratedRegex("^(?<day>[0-9]{8})?(_(?<number>[0-9]{3,8}))?$", RegexOptions.ExplicitCapture)]
    private static partial Regex Suffix();

    /// <summary>What is different in the names of a log's files.</summary>
    private readonly record struct Name(string Day, int Number)
    {
        public string PathIn(RollingPlan plan)
        {
            string number = Number == 0 ? string.Empty : Number.ToString("'_'000", CultureInfo.InvariantCulture);
            return Path.Combine(
                Path.GetDirectoryName(plan.Path)!,
                $"{Path.GetFileNameWithoutExtension(plan.Path)}{Day}{number}{Path.GetExtension(plan.Path)}");
        }
    }
}
